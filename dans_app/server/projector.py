"""The queue for the map's UMAPs and t-SNEs: computed in the background, the one asked for last first.

No Streamlit here.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dans_app.server import fitting
from dans_lab.map import projection
from dans_lab.map.projection import Projection


@dataclass(frozen=True)
class PictureFile:
    """Where a picture is kept, once it is computed; this also tells it from all others."""

    folder: Path
    key: str


class Projector:
    """One background thread that has pictures computed, the one asked for last first.

    A person who moves on wants the picture now on the screen, not the ones passed by. Only the latest few requests
    are kept. The thread is a daemon: closing the server does not wait for it.
    """

    def __init__(self, waiting: int = 4, kept: int = 64) -> None:
        self._limit = waiting
        self._kept = kept
        self._waiting: dict[PictureFile, Callable[[], Projection]] = {}
        self._working: PictureFile | None = None
        self._done: dict[PictureFile, Projection | str] = {}
        self._warm = threading.Event()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @property
    def warm(self) -> bool:
        """Whether UMAP is imported and compiled, so that a picture takes seconds and not half a minute."""
        return self._warm.is_set()

    def wait_until_warm(self) -> None:
        """Wait until it is `warm`. Not for a thread that a person waits for."""
        self._warm.wait()

    def warm_up(self, after: float = 0.0) -> None:
        """Import UMAP and let it compile, `after` so many seconds unless a picture is asked for before.

        Returns at once; calling it again does nothing. The delay lets a server paint its first screen in peace.
        """
        with self._changed:
            self._start(after)

    def submit(self, *wanted: tuple[PictureFile, Callable[[], Projection]]) -> None:
        """Compute and keep pictures unless that is done or being done already; the first comes first."""
        with self._changed:
            for file, compute in reversed(wanted):
                if file == self._working or file in self._done:
                    continue
                self._waiting.pop(file, None)
                self._waiting[file] = compute
            while len(self._waiting) > self._limit:
                del self._waiting[next(iter(self._waiting))]
            self._start()
            self._changed.notify_all()

    def busy(self, file: PictureFile) -> bool:
        """Whether this picture is still to come."""
        with self._changed:
            return file == self._working or file in self._waiting

    def result(self, file: PictureFile) -> Projection | str | None:
        """The picture, or in words why it could not be made, or None as long as it is not done."""
        with self._changed:
            return self._done.get(file)

    def wait(self, file: PictureFile, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the picture; whether it is done. For tests and scripts."""
        with self._changed:
            return self._changed.wait_for(
                lambda: file != self._working and file not in self._waiting, timeout=timeout
            )

    def _start(self, after: float = 0.0) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(after,), name="projector", daemon=True)
            self._thread.start()

    def _run(self, after: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting), timeout=after)
        self._compile()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
                file, compute = self._waiting.popitem()
                self._working = file
            result = _attempt(compute)
            if isinstance(result, Projection):
                # A folder that cannot be written costs the next server some seconds, and this one nothing.
                with contextlib.suppress(OSError):
                    projection.save(file.folder, file.key, result)
            with self._changed:
                self._working = None
                self._done[file] = result
                while len(self._done) > self._kept:
                    del self._done[next(iter(self._done))]
                self._changed.notify_all()

    def _compile(self) -> None:
        """A first small fit: UMAP compiles its inner loops when they first run (9 s, 26 s on a fresh install)."""
        points = np.random.default_rng(0).normal(size=(2, 60, 4)).astype(np.float32)
        # A broken install must not end the thread: each request for a picture then says what is wrong.
        with contextlib.suppress(Exception):
            fitting.fit_in_helper("umap", (0, 1), np.arange(60), points, points[:, :, :2])
        self._warm.set()


def _attempt(compute: Callable[[], Projection]) -> Projection | str:
    """The picture, or why not: a thread has no one to raise to, so the page says it in words."""
    try:
        return compute()
    except Exception as error:
        return str(error) or type(error).__name__
