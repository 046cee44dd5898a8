"""Triplets from what lies on disk: which file holds a split, whether it may be opened, and its content."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

from dans_data import naming
from dans_data.errors import InputError
from dans_data.limits import Limits
from dans_data.naming import SUFFIXES as SUFFIXES
from dans_data.reading import Reader
from dans_data.text import TripletFile
from dans_data.triplets import Triplet, printable


def read_triplets(file: Path, limits: Limits | None = None, plain: bool = False) -> list[Triplet]:
    """The triplets of one file, in its order, duplicates included; `plain` if this program wrote it.

    Raises:
        InputError: unreadable, not text, or a line that is not three names; with file and line number.
    """
    part = part_of(file)
    reader = Reader(limits or Limits.from_environment())
    found = reader.read(replace(part, form="plain") if plain else part)
    reader.settle()
    return found


def part_of(file: Path) -> TripletFile:
    """A file on disk, to be read; its name says how it is written.

    Raises:
        InputError: a folder, a pipe, a device, or a file of another kind.
    """
    where = printable(str(file))
    # Reading a pipe or a device could wait for ever.
    if (what := kind(file)) != "file":
        is_what = "is a folder" if what == "folder" else "is not a file that can be read"
        raise InputError(f"{where} {is_what}; expected a file of triplets")
    if not naming.dictionary_of(file.name):
        check_kind(file.name, where)
    gzipped = naming.is_gzip(file.name)
    packed = file.stat().st_size if gzipped else 0
    return TripletFile(where, naming.form_of(file.name), lambda: file.open("rb"), packed, gzipped)


def check_kind(name: str, where: str) -> None:
    """Raises InputError where the name of a file says that it is surely no text of triplets."""
    if ending := naming.foreign(name):
        raise InputError(
            f"{where} is of a kind ({ending}) that is not read here; expected {naming.EXPECTED}, or .zip"
        )


def split_file(folder: Path, split: str) -> Path:
    """The file of one split in a folder. Raises InputError as `split_files`."""
    files = split_files(folder)
    if split not in files:
        raise InputError(f"{printable(str(folder))} has no file for {split}")
    return files[split]


def split_files(folder: Path) -> dict[str, Path]:
    """The files of train, valid and test in a folder; those that there are.

    Raises:
        InputError: train is missing, there are two of one, or the folder cannot be read.
    """
    named = [(path.name, path) for path in _children(folder) if naming.split_of(path.name)]
    return naming.by_split(named, printable(str(folder)))


def dictionary_files(folder: Path) -> dict[str, Path]:
    """The files in a folder that give names to ids: of "entities", "relations", "labels".

    Raises:
        InputError: there are two of one, or the folder cannot be read.
    """
    named = [(path.name, path) for path in _children(folder) if kind(path) == "file"]
    return naming.by_dictionary(named, printable(str(folder)))


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise InputError(
            f"{printable(str(folder))} cannot be read ({error.strerror}); expected a folder with train, valid and test"
        ) from error


def home(path: Path) -> Path:
    """The path with "~" made the home of a person."""
    try:
        return path.expanduser()
    except RuntimeError:  # "~name" of no such person is an ordinary, missing, path
        return path


def kind(path: Path) -> str:
    """One of folder, file, other (a device, a pipe, or behind a closed door), nothing."""
    try:
        mode = path.stat().st_mode
    except PermissionError:
        return "other"
    except (OSError, ValueError):  # too long a name, a zero in it
        return "nothing"
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"
