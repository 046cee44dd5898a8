"""Ticks of screens that look again by themselves: none is answered on another screen, nor takes a click's place.

A part of a screen that looks again every second asks for it by a message from the browser. One that is sent while a
callback leads to another screen arrives after that screen was drawn, and names the one that was left. Streamlit then
finds no such part any more and draws nothing, but has first told the browser that the screen has changed: the browser
clears it, refuses what is drawn into it next, and is dead until it is loaded again. Streamlit stops these ticks where a
link of its menu was clicked, and not where a script leads elsewhere.

One that arrives before the server has turned to a click is put together with it, and Streamlit then goes by the screen
that the later message names: the click on another screen is lost. So a tick is let go where something else was asked.

Python runs one script at a time. Thirty screens that each look again every second would leave nothing to who clicks, so
all ticks of a server together get a third of a core: each starts when those before it have been paid for, and a little
later where clicks are being answered. With a few screens hardly any waits; with many all of them look again less often,
and equally so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from streamlit.runtime.scriptrunner import RerunData
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_requests import (
    ScriptRequests,
    ScriptRequestType,
    _has_active_trigger_value,
)

SHARE = 0.35
"""The part of a core that all ticks may take together."""

LONGEST = 5.0
"""Seconds after which a tick starts in any case."""

CLICKS_FIRST = 1.0
"""Seconds for which a tick whose turn has come waits for the answers to clicks at most."""

_LOOK = 0.02
_FIRST_GUESS = 0.02

_run_script = ScriptRunner._run_script
_request = ScriptRequests._request_rerun_locked


class Turns:
    """When each tick may start, so that all of them take no more than their share of a core."""

    def __init__(self, share: float = SHARE, now: Callable[[], float] = time.monotonic) -> None:
        self._share, self._now = share, now
        self._turn = threading.Lock()
        self._free_at = 0.0
        self._usual = _FIRST_GUESS

    def book(self) -> tuple[float, float]:
        """The moment from which one more tick may run, and the seconds of processor time that are put down for it."""
        with self._turn:
            at = max(self._now(), self._free_at)
            self._free_at = at + self._usual / self._share
            return min(at, self._now() + LONGEST), self._usual

    def pay(self, booked: float, took: float | None) -> None:
        """Put down what a tick took instead of what was booked for it; None where it did not run."""
        with self._turn:
            self._free_at += ((took or 0.0) - booked) / self._share
            if took is not None:
                self._usual += 0.1 * (took - self._usual)


turns = Turns()
_answering: set[int] = set()
"""The threads that answer clicks."""


def begin() -> None:
    """From now on ticks are answered like this in every server of this process. Calling it again does nothing."""
    ScriptRunner._run_script = _of_this_screen  # type: ignore[method-assign] # there is no hook for this
    ScriptRequests._request_rerun_locked = _unless_late  # type: ignore[method-assign] # nor for this


def _of_this_screen(self: ScriptRunner, rerun_data: RerunData) -> None:
    asked = rerun_data.fragment_id_queue
    if asked and not any(map(self._fragment_storage.contains, asked)):
        return
    if not _is_tick(rerun_data):
        _answering.add(threading.get_ident())
        try:
            _run_script(self, rerun_data)
        finally:
            _answering.discard(threading.get_ident())
        return
    at, booked = turns.book()
    took = None
    try:
        if _is_let_run(self, at):
            began = time.thread_time()
            try:
                _run_script(self, rerun_data)
            finally:
                took = time.thread_time() - began
    finally:
        turns.pay(booked, took)


def _unless_late(self: ScriptRequests, new_data: RerunData) -> bool:
    if self._state == ScriptRequestType.RERUN and _is_tick(new_data) and not _is_tick(self._rerun_data):
        return True
    return _request(self, new_data)


def _is_tick(asked: RerunData) -> bool:
    """Whether a part of a screen is to be drawn again, and nobody clicked."""
    clicked = asked.widget_states is not None and any(
        map(_has_active_trigger_value, asked.widget_states.widgets)
    )
    return asked.is_auto_rerun and bool(asked.fragment_id or asked.fragment_id_queue) and not clicked


def _is_let_run(runner: ScriptRunner, at: float) -> bool:
    """Wait until then, and for clicks; False as soon as the same visitor asks for what draws the screen as well."""
    while (left := at - time.monotonic()) > 0 or (_answering and left > -CLICKS_FIRST):
        time.sleep(min(left, _LOOK) if left > 0 else _LOOK)
        requests = runner._requests
        with requests._lock:
            match requests._state:
                case ScriptRequestType.STOP:
                    return False
                case ScriptRequestType.RERUN if not _is_tick(requests._rerun_data):
                    return False
    return True
