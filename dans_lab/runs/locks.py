"""Locks by which the operating system says which process is at work, for exactly as long as that process lives.

A worker is born with a ticket: a file whose lock it holds until it ends, whatever ends it. The ticket is moved into the
folder of the run that it is given, so that anyone can see that someone will train it, however long the imports take.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from dans_data.errors import InputError

TICKET = "worker.lock"
"""Name of the ticket in the folder of a run."""

_START_PATIENCE = 20.0
"""Seconds to wait for others who start or resume a run, which takes them a moment."""


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of this file; False where there is none. Readers may look at the same time."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


class Ticket:
    """The lock of a worker that waits for a run.

    Attributes:
        path: where the ticket lies until it is used.
        descriptor: what the worker's process has to inherit; it holds the lock.
    """

    def __init__(self, folder: Path) -> None:
        """Make one in `folder`; OSError where that cannot be."""
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{secrets.token_hex(8)}.lock"
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def leave_to_worker(self) -> None:
        """Let go of it here, once a process has inherited it, so that it lives as long as that process."""
        os.close(self.descriptor)

    def use(self, run: Path) -> None:
        """Move it into the folder of the run that its worker is given; OSError where it is gone."""
        self.path.replace(run / TICKET)

    def discard(self) -> None:
        """It is of no use any more."""
        with suppress(OSError):
            self.path.unlink()


def sweep(folder: Path) -> None:
    """Remove the tickets of workers that ended without a run."""
    for path in folder.glob("*.lock"):
        if not is_held(path):
            with suppress(OSError):
                path.unlink()


@contextmanager
def one_start_at_a_time(folder: Path) -> Iterator[None]:
    """Held while a run is given to a worker, by all servers on one folder of runs.

    Raises InputError where another does not come to an end, or where the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / "start.lock", thread_local=False)
        lock.acquire(timeout=_START_PATIENCE, poll_interval=0.02)
    except filelock.Timeout:
        raise InputError("another server is starting a run in this folder; try again in a moment") from None
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}), so no run can start") from None
    try:
        yield
    finally:
        lock.release()
