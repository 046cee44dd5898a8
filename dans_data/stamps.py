"""Whether a file is still the one that was read, so that what was made of it can be kept."""

from __future__ import annotations

import os
from pathlib import Path

Stamp = tuple[int, int, int]


def stamp(file: str | os.PathLike[str]) -> Stamp | None:
    """What tells one writing of a file from the next: which file it is, its time and its size; None without one."""
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
