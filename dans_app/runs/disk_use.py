"""How much disk the runs take, counted in a thread of its own, so that no click waits for a slow disk."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import streamlit as st

from dans_data.words import bytes_in_words
from dans_lab.runs.folder import DiskUse, ListedRun

PATIENCE = 0.15
"""Seconds that a screen waits for the sizes of folders; what takes longer comes with a later tick."""


class FolderSizes:
    """Bytes of folders, as far as they are counted."""

    def __init__(self) -> None:
        self._use = DiskUse()
        self._known: dict[str, int] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sizes")
        self._counting: dict[frozenset[str], Future[None]] = {}

    def of(self, folders: dict[str, bool], patience: float = PATIENCE) -> list[int | None]:
        """The size of each folder, by its path, as far as it is known after some `patience` (seconds).

        The value of a folder says whether files in it grow in place now, as those of a live run do.
        """
        wanted = frozenset(folders)
        counting = self._counting.get(wanted)
        if counting is None:
            self._counting[wanted] = counting = self._thread.submit(self._count, folders)
        with suppress(TimeoutError):
            counting.result(timeout=patience)
            self._counting.pop(wanted, None)
        return [self._known.get(path) for path in folders]

    def _count(self, folders: dict[str, bool]) -> None:
        for path, growing in folders.items():
            self._known[path] = self._use.of(path, growing)


@st.cache_resource(show_spinner=False)
def sizes() -> FolderSizes:
    """The one `FolderSizes` of this server."""
    return FolderSizes()


def sizes_of(entries: Sequence[ListedRun]) -> list[int | None]:
    """Bytes of each run, None where they are still being counted."""
    return sizes().of({os.fspath(entry.run.path): entry.status.live for entry in entries})


def size_in_words(folders: Iterable[os.PathLike[str]]) -> str:
    """What all these folders take: "34 MB", or that it is still being counted."""
    found = sizes().of({os.fspath(folder): False for folder in folders})
    known = [size for size in found if size is not None]
    return bytes_in_words(sum(known)) if len(known) == len(found) else "size still being counted"
