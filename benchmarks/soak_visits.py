"""Many visitors at a time: WebSocket clients that behave as Streamlit's own page does."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from benchmarks.soak_shared import WHO
from tests.browser.server import Server

PAGES = ("start", "map", "triplet", "diagnostics", "compare", "data", "runs")
"""What visitors look at, one after the other."""

PATIENCE = 120.0
"""Seconds after which an answer counts as lost."""


@dataclass
class Visits:
    """What visitors saw: seconds of each click by screen, what went wrong, how often a screen was renewed."""

    clicks: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    ticks: int = 0


def share(clicks: dict[str, list[float]], part: float) -> float:
    """The seconds within which this part of the clicks was answered; 0 without a click."""
    seconds = sorted(each for screen in clicks.values() for each in screen)
    return seconds[min(len(seconds) - 1, int(part * len(seconds)))] if seconds else 0.0


class Visitor:
    """A browser session without a browser; messages come and go as Streamlit's page has them."""

    def __init__(self, url: str) -> None:
        self._socket: ClientConnection = connect(
            f"{url.replace('http', 'ws', 1)}/_stcore/stream",
            subprotocols=["streamlit"],
            max_size=None,
            legacy=True,
            origin=url,
            additional_headers=WHO,
        )
        self.errors: list[str] = []
        self.said: list[str] = []
        self.ticks = 0
        self._pages: dict[str, str] = {}
        self._query = ""
        self._page = ""
        self._again: dict[str, tuple[float, float]] = {}

    def open(self, page: str, query: str = "") -> float:
        """Go to a page with this address; the seconds until it is drawn."""
        self._query, self._again = query, {}
        self.said.clear()
        message = BackMsg()
        if page in self._pages:
            message.rerun_script.page_script_hash = self._page = self._pages[page]
        else:
            message.rerun_script.page_name = "" if page == "start" else page
        message.rerun_script.query_string = query
        return self._ask(message)

    def follow(self, seconds: float) -> None:
        """Renew for so long what renews itself on the screen, as often as it asks to."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            due = [(at, fragment) for fragment, (_, at) in self._again.items()]
            at, fragment = min(due, default=(end, ""))
            if at >= end or not fragment:
                time.sleep(max(0.0, end - time.monotonic()))
                return
            time.sleep(max(0.0, at - time.monotonic()))
            message = BackMsg()
            message.rerun_script.fragment_id = fragment
            message.rerun_script.is_auto_rerun = True
            message.rerun_script.query_string = self._query
            message.rerun_script.page_script_hash = self._page
            every, _ = self._again[fragment]
            self._again[fragment] = (every, time.monotonic() + every)
            self._ask(message)
            self.ticks += 1

    def close(self) -> None:
        """Go away."""
        self._socket.close()

    def _ask(self, message: BackMsg) -> float:
        began = time.monotonic()
        self._socket.send(message.SerializeToString())
        while not self._take(self._next()):
            pass
        return time.monotonic() - began

    def _next(self) -> ForwardMsg:
        found = ForwardMsg()
        data = self._socket.recv(timeout=PATIENCE)
        assert isinstance(data, bytes)
        found.ParseFromString(data)
        return found

    def _take(self, message: ForwardMsg) -> bool:
        """Whether this was the last message of an answer."""
        match message.WhichOneof("type"):
            case "delta":
                self._look(message.delta)
            case "navigation":
                for page in message.navigation.app_pages:
                    self._pages[page.url_pathname or "start"] = page.page_script_hash
                self._page = message.navigation.page_script_hash
            case "new_session":
                self._page = message.new_session.page_script_hash
            case "auto_rerun":
                every = message.auto_rerun.interval
                self._again[message.auto_rerun.fragment_id] = (every, time.monotonic() + every)
            case "stop_auto_rerun":
                for fragment in message.stop_auto_rerun.fragment_ids or list(self._again):
                    self._again.pop(fragment, None)
            case "script_finished":
                # A rerun that the screen itself asks for follows at once.
                return message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN
        return False

    def _look(self, delta: object) -> None:
        element = delta.new_element  # type: ignore[attr-defined] # protobuf: untyped
        match element.WhichOneof("type"):
            case "exception":
                self.errors.append(f"{element.exception.type}: {element.exception.message}"[:200])
            case "alert":
                self.said.append(element.alert.body)
            case "markdown":
                self.said.append(element.markdown.body)


@contextmanager
def visitor(url: str) -> Iterator[Visitor]:
    """A visitor that goes away at the end."""
    found = Visitor(url)
    try:
        yield found
    finally:
        found.close()


def watch(url: str, runs: list[str], visitors: int, seconds: float, seed: int, pause: float) -> Visits:
    """So many visitors look at runs that train, each at one, from page to page, following what renews itself.

    They come within the first `pause` seconds, and then click after some `pause` seconds each.
    """
    found, turn = Visits(), threading.Lock()

    def look(number: int) -> None:
        chance = random.Random(seed + number)
        time.sleep(chance.uniform(0, min(pause, seconds / 2)))
        try:
            with visitor(url) as me:
                end = time.monotonic() + seconds
                page = number
                while time.monotonic() < end:
                    name = PAGES[page % len(PAGES)]
                    took = me.open(name, f"run={runs[number % len(runs)]}")
                    with turn:
                        found.clicks.setdefault(name, []).append(took)
                    me.follow(min(pause * chance.uniform(0.5, 1.5), max(0.0, end - time.monotonic())))
                    page += 1
                with turn:
                    found.errors += me.errors
                    found.ticks += me.ticks
        except (OSError, ConnectionClosed, TimeoutError) as error:
            with turn:
                found.errors.append(f"{type(error).__name__}: {error}"[:200])

    threads = [threading.Thread(target=look, args=(number,)) for number in range(visitors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@dataclass
class Held:
    """What a server held before so many sessions, right after them, and once their time was over."""

    sessions: int
    handles: tuple[int, int, int]
    kinds: dict[str, int]
    megabytes: tuple[float, float, float]
    errors: list[str]


def come_and_go(server: Server, sessions: int, wait: float, at_once: int = 4) -> Held:
    """So many sessions, each of which opens one page and goes; then `wait` seconds."""
    errors: list[str] = []
    # What the first ones load stays for all.
    for page in PAGES:
        with visitor(server.url) as me:
            me.open(page)
    before = handles(server.pid).total(), megabytes(server.pid)

    def go(first: int) -> None:
        for number in range(first, sessions, at_once):
            try:
                with visitor(server.url) as me:
                    me.open(PAGES[number % len(PAGES)])
                    errors.extend(me.errors)
            except (OSError, ConnectionClosed, TimeoutError) as error:
                errors.append(f"{type(error).__name__}: {error}"[:200])

    threads = [threading.Thread(target=go, args=(first,)) for first in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = handles(server.pid).total(), megabytes(server.pid)
    time.sleep(wait)
    last = handles(server.pid)
    return Held(
        sessions,
        (before[0], after[0], last.total()),
        dict(last),
        (before[1], after[1], megabytes(server.pid)),
        errors,
    )


def handles(process: int) -> Counter[str]:
    """The files that a process holds open, by kind."""
    kinds: Counter[str] = Counter()
    for link in Path(f"/proc/{process}/fd").iterdir():
        try:
            target = str(link.readlink())
        except OSError:
            continue
        kinds["file" if target.startswith("/") else target.partition(":")[0]] += 1
    return kinds


def megabytes(process: int) -> float:
    """What a process has in memory of its own."""
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) / 1e3
    return 0.0
