"""What the name of a file says: how its text is written, whether it is packed, and which split it holds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import product
from typing import TypeVar

from dans_data.errors import InputError
from dans_data.triplets import SPLITS, printable

FORMS = {".txt": "tsv", ".tsv": "tsv", ".csv": "csv", ".nt": "nt"}
"""How the text of a file with this ending is written."""

SUFFIXES = tuple(f"{form}{packed}" for packed, form in product(("", ".gz"), FORMS))
"""The endings of a file that holds one split, or all triplets."""

EXPECTED = ".txt, .tsv, .csv or .nt, each also as .gz"

PACKERS = (".gz", ".zip", ".tar", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".7z", ".rar", ".jar")
"""The endings of files that hold other files."""

_FOREIGN = (
    *(packer for packer in PACKERS if packer not in (".gz", ".zip")),
    *(".xlsx", ".xls", ".ods", ".json", ".jsonl", ".xml", ".parquet"),
    *(".ttl", ".nq", ".n3", ".trig", ".rdf", ".owl"),
)

_SPLIT_NAMES = {"train": "train", "valid": "valid", "validation": "valid", "dev": "valid", "test": "test"}

T = TypeVar("T")


def base(name: str) -> str:
    """The last part of a path, however its folders are separated."""
    return re.split(r"[/\\]", name)[-1]


def is_gzip(name: str) -> bool:
    """Whether the ending says that the file is packed by gzip."""
    return name.lower().endswith(".gz")


def is_zip(name: str) -> bool:
    """Whether the ending says that the file is a zip archive."""
    return name.lower().endswith(".zip")


def is_listed(name: str) -> bool:
    """Whether the ending is one of `SUFFIXES`."""
    return name.lower().endswith(SUFFIXES)


def form_of(name: str) -> str:
    """How the text of a file is written: "csv", "nt", or "tsv" where the ending says nothing else."""
    return FORMS.get(_suffix(_unpacked(name)), "tsv")


def foreign(name: str) -> str | None:
    """The ending of a file that is surely no text of triplets, such as .xlsx; None for others."""
    suffix = _suffix(_unpacked(name))
    return suffix if suffix in _FOREIGN or (suffix in PACKERS and is_gzip(name)) else None


def title(name: str) -> str:
    """The name of a file without folders and endings, on one line."""
    bare = _unpacked(base(name))
    return printable(bare[: len(bare) - len(_suffix(bare))] or base(name))


def split_of(name: str) -> str | None:
    """The split that a file is named after: "valid" for dev.csv.gz; None for other names and endings."""
    return _SPLIT_NAMES.get(title(name).lower()) if is_listed(name) else None


def by_split(named: Iterable[tuple[str, T]], where: str) -> dict[str, T]:
    """What is named after train, valid and test, of files with their names, in this order.

    Raises:
        InputError: one is missing, or there are two of one.
    """
    found: dict[str, tuple[str, T]] = {}
    for name, file in named:
        split = split_of(name)
        if split is None:
            continue
        if split in found:
            both = " and ".join(sorted(printable(base(other)) for other in (found[split][0], name)))
            raise InputError(f"{where} has both {both}; expected one of them")
        found[split] = name, file
    for split in SPLITS:
        if split not in found:
            raise InputError(
                f"{where} has no {split}.txt or {split}.tsv (nor .csv, .nt, or one of them as .gz); "
                "expected train, valid and test"
            )
    return {split: found[split][1] for split in SPLITS}


def _unpacked(name: str) -> str:
    return name[:-3] if is_gzip(name) else name


def _suffix(name: str) -> str:
    """As `Path.suffix`, in lower case."""
    stem, dot, ending = base(name).rpartition(".")
    return f".{ending.lower()}" if stem and dot and ending else ""
