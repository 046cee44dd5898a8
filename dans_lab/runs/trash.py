"""Deleting runs so that it can be undone, and for good: the trash and the cache of the runs folder.

    .trash/TIME-ID/    a deleted run as it was, until it is restored or removed for good
    .cache/            pictures and other things that can be made again

All of it holds when other servers and terminals do the same at the same time: a run is moved whole, by one rename,
and no link is followed out of the runs folder.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import filelock

from dans_data.errors import InputError
from dans_lab.runs.folder import DiskUse, NameAndNote, about_or_nothing
from dans_lab.runs.run import Run, open_run, runs_dir

TRASH = ".trash"
CACHE = ".cache"

PICTURES = "projections"
"""The folder of the cache that grows: a folder for each run whose map was seen."""

CACHE_BYTES = 1_000_000_000
"""What pictures may take; beyond it those that were made longest ago go."""

TRASH_BYTES = 10_000_000_000
"""What deleted runs may take; beyond it those that were deleted first go."""

_SPARED = timedelta(days=1)
"""For so long a deleted run stays, however large the trash is."""

_TIME = "%Y%m%dT%H%M%S%f"
_KEY = re.compile(r"([0-9]{8}T[0-9]{12})-([a-z0-9-]{1,64})")
_DOOMED = ".doomed-"
"""How a folder in the trash begins that is being removed for good: half a run must not be restored."""

_LOCK_PATIENCE = 0.5
"""Seconds to try for the lock of a run, since a reader holds it for an instant when it looks."""

_TURN_PATIENCE = 10.0
"""Seconds to wait for others who move runs, which takes them milliseconds."""


@dataclass(frozen=True)
class Trashed:
    """A deleted run. `key` is its folder in the trash; runs deleted together have the same time."""

    key: str
    run_id: str
    deleted: datetime
    path: Path

    @property
    def about(self) -> NameAndNote:
        """The name and note it has, read now."""
        return about_or_nothing(Run(self.path))


def delete(run_ids: Sequence[str]) -> list[Trashed]:
    """Move runs of the runs folder into its trash: all of them, or none where one must not go.

    Raises:
        InputError: an unknown, recorded or live run, or a folder that cannot be written.
    """
    with _telling(f"runs in {runs_dir()} cannot be moved to the trash"), ExitStack() as stack:
        inside = stack.enter_context(_alone())
        found = [open_run(run_id) for run_id in dict.fromkeys(run_ids)]
        for run in found:
            if run.recorded:
                raise InputError(f"run {run.id} is recorded; it came with the program and cannot be deleted")
        for run in found:
            stack.enter_context(_at_rest(run))
        with suppress(FileExistsError):
            os.mkdir(TRASH, dir_fd=inside)
        trash = stack.enter_context(_opened(TRASH, inside))
        now = datetime.now(UTC)
        keys = {f"{now.strftime(_TIME)}-{run.id}": run.id for run in found}
        _move_all(keys, inside, trash)
        return [_trashed(key, run_id, now) for key, run_id in keys.items()]


def trashed() -> list[Trashed]:
    """What the trash of the runs folder holds, the last deleted first."""
    found = []
    with suppress(OSError), _opened(runs_dir()) as inside, _opened(TRASH, inside) as trash:
        for name in _folders(trash):
            if form := _KEY.fullmatch(name):
                # A name that a person made may hold no time.
                with suppress(ValueError):
                    deleted = datetime.strptime(form[1], _TIME).replace(tzinfo=UTC)
                    found.append(_trashed(name, form[2], deleted))
    return sorted(found, key=lambda each: each.key, reverse=True)


def restore(key: str) -> Run:
    """Take a run out of the trash, back to where it was.

    Raises:
        InputError: nothing of this key in the trash; or there is a run of its id by now, and it stays in the trash.
    """
    form = _KEY.fullmatch(key)
    if form is None:
        raise InputError(f"{key[:100]!r} is nothing that the trash can hold")
    run_id = form[2]
    refusal = f"run {run_id} cannot be taken out of the trash"
    with _telling(refusal), _alone() as inside, _opened(TRASH, inside) as trash:
        if key not in _folders(trash):
            raise InputError(f"run {run_id} is no longer in the trash")
        # Made first, so that the place is ours: a folder can be moved over an empty one, and over no other.
        try:
            os.mkdir(run_id, dir_fd=inside)
        except FileExistsError:
            raise InputError(
                f"there is another {run_id} in {runs_dir()} by now; delete that one first, the one in the trash stays"
            ) from None
        try:
            os.rename(key, run_id, src_dir_fd=trash, dst_dir_fd=inside)
        except OSError:
            os.rmdir(run_id, dir_fd=inside)
            raise
    return Run(runs_dir() / run_id)


def remove_for_good(keys: Sequence[str]) -> None:
    """Remove these from the trash; what is no longer there is passed over.

    Raises:
        InputError: something could not be removed.
    """
    if not trashed():
        return
    with _telling("the trash cannot be emptied"), _opened(runs_dir()) as root, _opened(TRASH, root) as trash:
        with _alone():
            for key in set(keys).intersection(_folders(trash)):
                if _KEY.fullmatch(key):
                    os.rename(key, _DOOMED + secrets.token_hex(8), src_dir_fd=trash, dst_dir_fd=trash)
        # Also what a killed server had begun to remove.
        _remove([name for name in _folders(trash) if name.startswith(_DOOMED)], trash)


def cached() -> list[Path]:
    """The folders of `.cache` in the runs folder."""
    with suppress(OSError), _opened(runs_dir()) as inside, _opened(CACHE, inside) as cache:
        return [runs_dir() / CACHE / name for name in _folders(cache)]
    return []


def clear_cache() -> None:
    """Remove the folders of `.cache` in the runs folder; what is needed again is made again.

    Raises:
        InputError: something could not be removed.
    """
    if not cached():
        return
    with _telling("the cache cannot be cleared"), _opened(runs_dir()) as root, _opened(CACHE, root) as cache:
        _remove(_folders(cache), cache)


def tidy(cache_most: int = CACHE_BYTES, trash_most: int = TRASH_BYTES) -> None:
    """Keep cache and trash within so many bytes each; what is oldest goes, of the trash nothing of the last day.

    Raises:
        InputError: something could not be removed.
    """
    use, left, now = DiskUse(), trash_most, datetime.now(UTC)
    old = []
    for each in trashed():
        left -= use.of(each.path)
        if left < 0 and now - each.deleted > _SPARED:
            old.append(each.key)
    if old:
        remove_for_good(old)
    if not (runs_dir() / CACHE / PICTURES).is_dir():
        return
    with (
        _telling("the cache cannot be kept within its bounds"),
        _opened(runs_dir()) as root,
        _opened(CACHE, root) as cache,
        _opened(PICTURES, cache) as pictures,
    ):
        made = {name: os.stat(name, dir_fd=pictures).st_mtime_ns for name in _folders(pictures)}
        left, old = cache_most, []
        for name in sorted(made, key=made.__getitem__, reverse=True):
            left -= use.of(runs_dir() / CACHE / PICTURES / name)
            if left < 0:
                old.append(name)
        _remove(old, pictures)


def _trashed(key: str, run_id: str, deleted: datetime) -> Trashed:
    return Trashed(key, run_id, deleted, runs_dir() / TRASH / key)


@contextmanager
def _alone() -> Iterator[int]:
    """The runs folder held open, while no one else moves runs to or from its trash.

    Else one could try the lock of a run, and so make its file, in a folder that another is about to replace.
    """
    with _opened(runs_dir()) as inside:
        lock = filelock.FileLock(runs_dir() / ".trash.lock")
        try:
            lock.acquire(timeout=_TURN_PATIENCE, poll_interval=0.02)
        except filelock.Timeout:
            raise InputError(
                "someone else is moving runs to or from the trash; try again in a moment"
            ) from None
        try:
            yield inside
        finally:
            lock.release()


@contextmanager
def _at_rest(run: Run) -> Iterator[None]:
    """Holds the lock of a run, so that no process trains it; InputError where one does, or is about to."""
    lock = filelock.FileLock(run.path / "run.lock")
    try:
        lock.acquire(timeout=_LOCK_PATIENCE, poll_interval=0.02)
    except filelock.Timeout:
        raise InputError(f"run {run.id} is being trained and cannot be deleted; stop it first") from None
    except OSError as error:
        raise InputError(f"run {run.id} cannot be deleted ({error.strerror})") from None
    try:
        if run.is_given(run.stored_status):
            raise InputError(f"run {run.id} is about to start and cannot be deleted; stop it first")
        yield
    finally:
        lock.release()


def _move_all(keys: dict[str, str], inside: int, trash: int) -> None:
    """Rename the folders with these ids to these keys; where one cannot be, put back the others."""
    moved = {}
    try:
        for key, run_id in keys.items():
            os.rename(run_id, key, src_dir_fd=inside, dst_dir_fd=trash)
            moved[key] = run_id
    except OSError:
        for key, run_id in moved.items():
            os.rename(key, run_id, src_dir_fd=trash, dst_dir_fd=inside)
        raise


@contextmanager
def _opened(path: str | os.PathLike[str], inside: int | None = None) -> Iterator[int]:
    """A folder held open; one named `inside` another must be there itself and no link to elsewhere."""
    flags = os.O_RDONLY | os.O_DIRECTORY | (0 if inside is None else os.O_NOFOLLOW)
    descriptor = os.open(path, flags, dir_fd=inside)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _folders(folder: int) -> list[str]:
    """Names of the folders in an open folder, without links to folders."""
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]


def _remove(names: Sequence[str], folder: int) -> None:
    """Remove folders of an open folder with all in them, while others may do the same; OSError where one stays."""
    for name in names:
        shutil.rmtree(name, ignore_errors=True, dir_fd=folder)
    if left := set(names).intersection(_folders(folder)):
        raise OSError(0, f"{min(left)} stays")


@contextmanager
def _telling(what: str) -> Iterator[None]:
    """Says in one sentence what the disk refuses."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{what} ({error.strerror})") from None
