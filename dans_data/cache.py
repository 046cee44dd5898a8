"""Where data that did not come with the program is kept, and how a folder arrives there: whole, or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from dans_data.errors import InputError
from dans_data.files import home

CACHE_DIR_VARIABLE = "DANS_CACHE_DIR"
OWN_DIR_VARIABLE = "DANS_OWN_DIR"

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def cache_dir() -> Path:
    """The folder `DANS_CACHE_DIR`, or the one where programs of this person keep what can be fetched again."""
    if chosen := os.environ.get(CACHE_DIR_VARIABLE):
        return home(Path(chosen)).absolute()
    import pooch

    return Path(pooch.os_cache("dans-lab"))


def own_dir() -> Path:
    """The folder `DANS_OWN_DIR`, or the one where programs of this person keep what is theirs: no cache, to stay."""
    if chosen := os.environ.get(OWN_DIR_VARIABLE):
        return home(Path(chosen)).absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("dans-lab", appauthor=False)) / "own"


@contextmanager
def turn(folder: Path, variable: str = CACHE_DIR_VARIABLE) -> Iterator[None]:
    """Inside, no other process or thread is in a turn on the same folder; its parent exists.

    `variable` names another folder than its parent, for complaints.

    Raises:
        InputError: the parent cannot be written or is full, told in one sentence; also for an OSError inside.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder.parent / f".{folder.name}.lock"):
            yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise InputError(
                f"no room is left in {folder.parent}; free some, or let {variable} name another folder"
            ) from error
        raise InputError(
            f"{folder.parent} cannot be written ({error.strerror or error}); "
            f"let {variable} name a folder that can"
        ) from error


@contextmanager
def arriving(folder: Path) -> Iterator[Path]:
    """A temporary folder that takes the place `folder` when the block ends well, and is gone when it does not.

    To be used in a `turn` on the same folder, so whatever a killed process left can be cleared away first. What
    is in the temporary folder is on disk before it takes its place.
    """
    for left in folder.parent.glob(f"{folder.name}.partial-*"):
        shutil.rmtree(left, ignore_errors=True)
    partial = folder.with_name(f"{folder.name}.partial-{secrets.token_hex(4)}")
    partial.mkdir()
    try:
        yield partial
        for file in partial.iterdir():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
