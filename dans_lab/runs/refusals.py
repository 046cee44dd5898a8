"""What a disk refuses, in one sentence with what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dans_data.errors import InputError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


def in_words(path: Path, error: OSError, what: str = "written") -> str:
    """Why `path` cannot be written, or `what`, and what helps; without a full stop."""
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return f"there is no room for {path} ({reason}); make room on its disk, then go on"
    if error.errno in _FORBIDDEN:
        return f"{path} cannot be {what} ({reason}); allow writing there, or take another folder by DANS_RUNS_DIR"
    if error.errno == errno.ENOENT and what == "written" and not path.exists():
        return f"{path} is gone ({reason}); whoever moved or removed it has what was in it"
    return f"{path} cannot be {what} ({reason})"


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What a disk refuses while `path` is written becomes an InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(in_words(path, error)) from None
