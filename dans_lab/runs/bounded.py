"""Reading files that anyone may have put there: regular files of a sane size, and nothing that makes a reader wait."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from dans_data.errors import InputError
from dans_data.words import bytes_in_words

RECORD_BYTES = 1_000_000
"""The most that a JSON file of a run or a study can have; theirs have a few thousand."""

STUDY_RECORD_BYTES = 64_000_000
"""The most that the record of a run in a study can have, which holds its ranks."""

EVENT_BYTES = 256_000_000
"""The most that a log of events can have: some half a million epochs."""

ARRAY_BYTES = 4_000_000_000
"""The most that a snapshot can have."""

CHECKPOINT_BYTES = 64_000_000_000
"""The most that a checkpoint can have."""

STUDY_BYTES = 200_000
"""The most that a study file can have; the longest that comes with the program has 5,000."""

_DEEPEST = 20
"""Brackets and dots within each other in a study file; nothing in one needs more than four."""


@contextmanager
def opened(path: Path, most: int) -> Iterator[BinaryIO]:
    """The file to read, from its beginning.

    Raises:
        InputError: in one sentence: missing, no regular file, more than `most` bytes, or it cannot be opened.
    """
    try:
        # A pipe without a writer would hold up who opens it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise InputError(f"{path} is missing") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path} cannot be read (it is not a regular file)")
        if found.st_size > most:
            raise InputError(
                f"{path} has {bytes_in_words(found.st_size)}; it can have {bytes_in_words(most)} at most"
            )
        stream = os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise
    with stream:
        yield stream


def content(path: Path, most: int = RECORD_BYTES) -> bytes:
    """All bytes of a file; InputError as `opened`."""
    with opened(path, most) as stream:
        return read(stream, path)


def read(stream: BinaryIO, path: Path, most: int = -1) -> bytes:
    """What is left of an opened file, at most so many bytes; InputError where the disk refuses."""
    try:
        return stream.read(most)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from None


def text(path: Path, most: int = STUDY_BYTES) -> str:
    """All of a file of UTF-8 text; InputError as `opened`, and for other bytes."""
    try:
        return content(path, most).decode()
    except UnicodeDecodeError:
        raise InputError(f"{path} cannot be read (it is not UTF-8 text)") from None


def toml(written: str, where: str) -> dict[str, Any]:
    """What a TOML text says; `where` is named in complaints.

    Raises:
        InputError: for a text that is too long or too deep, for a number of too many digits, and for what is no TOML.
    """
    if len(written) > STUDY_BYTES:
        raise InputError(f"{where} has {len(written):,} characters; it can have {STUDY_BYTES:,} at most")
    try:
        found = tomllib.loads(written)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where} is not TOML: {error}") from None
    except RecursionError:
        raise InputError(f"{where} has too many brackets within each other") from None
    except ValueError:
        # Python turns no more than some thousand digits into a number.
        raise InputError(f"{where} has a number of too many digits") from None
    level: list[Any] = [found]
    for _ in range(_DEEPEST):
        level = [part for each in level for part in (each.values() if isinstance(each, dict) else each)
                 if isinstance(part, dict | list)]  # fmt: skip
        if not level:
            return found
    raise InputError(f"{where} has too many tables or brackets within each other")
