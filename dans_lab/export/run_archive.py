"""A run as one file that another machine can open: its folder, zipped."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from dans_data.errors import InputError
from dans_data.words import bytes_in_words
from dans_lab.runs.run import Run

LARGEST = 500_000_000
"""Bytes of a run's files from which on they are better copied than zipped in memory."""

_STAYS = ("run.lock", "control.json", "log.txt")
"""What concerns only the process that writes the run, and the machine it is on."""


def size(run: Run) -> int:
    """How many bytes the files have that `archive` packs."""
    try:
        return sum(file.lstat().st_size for file in _files(run))
    except OSError as error:
        raise InputError(f"{run.path} cannot be read ({error.strerror})") from None


def archive(run: Run) -> bytes:
    """The run in a folder of its name, as it is now; unpacked into another runs folder it is listed there.

    Raises:
        InputError: more than `LARGEST` bytes, or files that cannot be read.
    """
    if (found := size(run)) > LARGEST:
        raise InputError(f"run {run.id} has {bytes_in_words(found)}; copy its folder {run.path} instead")
    stream = io.BytesIO()
    try:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
            for file in _files(run):
                packed.write(file, Path(run.id) / file.relative_to(run.path))
    except OSError as error:
        raise InputError(f"{run.path} cannot be read ({error.strerror})") from None
    return stream.getvalue()


def _files(run: Run) -> list[Path]:
    found = (file for file in run.path.rglob("*") if file.is_file() and not file.is_symlink())
    return sorted(file for file in found if file.name not in _STAYS and not file.name.startswith("."))
