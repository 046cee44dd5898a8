"""A run mirrored to TensorBoard, MLflow, Weights & Biases or Trackio while it trains.

Settings, losses, rankings, diagnostics and warnings go there. The run directory stays what counts: a tracker that fails
is let go, and the run goes on without it.

Examples:
    >>> with mirror(["tensorboard"], "mine", config, folder) as told:  # doctest: +SKIP
    ...     for event in trainer:
    ...         told.tell(event)
"""

from __future__ import annotations

import hashlib
import importlib.util
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from dans_core.config import Config
from dans_core.events import Event
from dans_data.complaints import did_you_mean
from dans_data.errors import InputError
from dans_lab.tracking.kinds import KINDS, About, Kind
from dans_lab.tracking.values import numbers

TRACKERS = tuple(KINDS)


def check(names: Sequence[str]) -> None:
    """Refuse, before anything is trained, what is no tracker or is not installed."""
    for name in names:
        if name not in KINDS:
            raise InputError(
                f"track = {name!r}: must be one of {', '.join(KINDS)}{did_you_mean(name, TRACKERS)}"
            )
        if importlib.util.find_spec(package := KINDS[name].package) is None:
            raise InputError(
                f"--track {name} needs {package}, which is not installed; install it by: pip install {package}"
            )


def mirror(
    names: Sequence[str],
    run: str,
    config: Config,
    folder: Path,
    facts: dict[str, Any] | None = None,
    failed: Callable[[str, str], None] = lambda sentence, trace: None,
) -> Mirror:
    """What tells trackers of a run; used as a context for as long as it trains.

    Args:
        run: its name there. A run of the same name, folder and `facts` goes on where it was.
        folder: of the run; TensorBoard's files lie in `tensorboard` there.
        facts: what else is known of it, beside its settings.
        failed: hears, in a sentence and with the traceback, that a tracker is let go.

    Raises:
        InputError: for a name that is no tracker, or one that is not installed.
    """
    check(names)
    told = {str(key): value for key, value in (facts or {}).items()}
    text = f"{folder.resolve()}\n{told.get('created', '')}"
    key = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]
    about = About(run, key, folder, {**told, **config.model_dump()})
    return Mirror(about, {name: KINDS[name] for name in dict.fromkeys(names)}, failed)


class Mirror:
    """Tells all its trackers the same; each begins with the first event, so a run that never began leaves nothing."""

    def __init__(
        self, about: About, kinds: dict[str, type[Kind]], failed: Callable[[str, str], None]
    ) -> None:
        self._about, self._failed = about, failed
        self._waiting = dict(kinds)
        self._open: dict[str, Kind] = {}
        self._state = "finished"

    def tell(self, event: Event) -> None:
        """Mirror an event: its numbers, at its epoch."""
        for name, kind in self._waiting.items():
            self._guarded(name, partial(self._begin, name, kind, event.epoch))
        self._waiting.clear()
        if values := numbers(event):
            for name, tracker in list(self._open.items()):
                self._guarded(name, partial(tracker.log, values, event.epoch))

    def ends(self, state: str, values: dict[str, float | None] | None = None) -> None:
        """How the run ended, as its status says, and what it came to."""
        self._state = state
        known = {name: value for name, value in (values or {}).items() if value is not None}
        if known:
            for name, tracker in list(self._open.items()):
                self._guarded(name, partial(tracker.summary, known))

    def _begin(self, name: str, kind: type[Kind], epoch: int) -> None:
        self._open[name] = kind(self._about, epoch)

    def _guarded(self, name: str, do: Callable[[], None]) -> None:
        try:
            do()
        # A run is not lost by a tracker: its network, its disk, its own mistakes.
        except Exception as error:
            self._open.pop(name, None)
            words = " ".join(str(error).split()) or type(error).__name__
            self._failed(f"{name} is no longer told of this run: {words}", traceback.format_exc())

    def __enter__(self) -> Mirror:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        state = "failed" if error is not None and isinstance(error, Exception) else self._state
        for name, tracker in list(self._open.items()):
            self._guarded(name, partial(tracker.close, state))
        self._open.clear()
