"""What the name of a file says: how its text is written, whether it is packed, and which split it holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import product
from typing import TypeVar

from dans_data.errors import InputError
from dans_data.triplets import SPLITS, printable

FORMS = {
    ".txt": "tsv",
    ".tsv": "tsv",
    ".csv": "csv",
    ".nt": "nt",
    ".nq": "nt",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".ttl": "turtle",
    ".n3": "n3",
    ".trig": "trig",
    ".rdf": "xml",
    ".owl": "xml",
}
"""How a file with this ending is written."""

SUFFIXES = tuple(f"{form}{packed}" for packed, form in product(("", ".gz"), FORMS))
"""The endings of a file that holds one split, or all triplets."""

EXPECTED = ".txt, .tsv, .csv, .nt, .nq, .ttl, .rdf, .jsonl or .parquet, each also as .gz"

PACKERS = (".gz", ".zip", ".tar", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".7z", ".rar", ".jar")
"""The endings of files that hold other files."""

_FOREIGN = (
    *(packer for packer in PACKERS if packer not in (".gz", ".zip")),
    *(".xlsx", ".xls", ".ods", ".json", ".xml"),
)

_SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev"), "valid"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_SPLIT = re.compile(
    rf"(?:.*[-_. ])?({'|'.join(sorted(_SPLIT_NAMES, key=len, reverse=True))})(2id)?"
    r"(?:[-_. ](?:triples|triplets|set|data))?(?: ?\(\d+\))?"
)
_DICTIONARY = re.compile(r"(entit(?:y|ies)|relations?)(?:2id|_ids?|s)?(?: ?\(\d+\))?")
_LABELS = re.compile(r"(?:entity|relation|id)?[-_]?(?:2text|2label|labels)(?: ?\(\d+\))?")

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
    """How a file is written: "csv", "nt", "jsonl", "2id", "parquet", RDF, or "tsv" where its name says nothing else.

    "2id" is OpenKE's form, known by names such as train2id.txt: a line that counts, then head, tail, relation by id.
    """
    split = _SPLIT.fullmatch(title(name).lower())
    if split and split[2]:
        return "2id"
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
    found = _SPLIT.fullmatch(title(name).lower())
    fits = is_listed(name) or not _suffix(_unpacked(base(name)))
    return _SPLIT_NAMES[found[1]] if found and fits else None


def dictionary_of(name: str) -> str | None:
    """What a file gives names to, by how it is called: "entities", "relations", "labels" of both, or None.

    Such are entities.dict, entity2id.txt, entity_ids.del and entities.tsv, and entity2text.txt or labels.tsv.
    """
    bare, ending = title(name).lower(), _suffix(_unpacked(base(name)))
    if _LABELS.fullmatch(bare) and ending in (".txt", ".tsv"):
        return "labels"
    found = _DICTIONARY.fullmatch(bare)
    is_text = ending in (".dict", ".del", ".tsv") or (ending == ".txt" and "2id" in bare)
    if not found or not is_text:
        return None
    return "entities" if found[1].startswith("entit") else "relations"


def by_split(named: Iterable[tuple[str, T]], where: str) -> dict[str, T]:
    """What is named after train, valid and test, of files with their names, in this order; those that there are.

    Raises:
        InputError: train is missing, or there are two of one.
    """
    found = _one_of_each(named, split_of, where, "")
    if "train" not in found:
        raise InputError(
            f"{where} has no train.txt or train.tsv (nor .csv, .nt, or one of them as .gz); "
            "expected train, valid and test, or train alone"
        )
    return {split: found[split] for split in SPLITS if split in found}


def by_dictionary(named: Iterable[tuple[str, T]], where: str) -> dict[str, T]:
    """What gives names to ids, of files with their names: to "entities", "relations", or "labels" of both.

    Raises:
        InputError: there are two of one.
    """
    return _one_of_each(named, dictionary_of, where, ", which name ids")


def _one_of_each(
    named: Iterable[tuple[str, T]], role_of: Callable[[str], str | None], where: str, what: str
) -> dict[str, T]:
    """The file of each role, of those that have one. Raises InputError where two have the same."""
    found: dict[str, tuple[str, T]] = {}
    for name, file in named:
        role = role_of(name)
        if role is None:
            continue
        if role in found:
            both = " and ".join(sorted(printable(base(other)) for other in (found[role][0], name)))
            raise InputError(f"{where} has both {both}{what}; expected one of them")
        found[role] = name, file
    return {role: file for role, (_, file) in found.items()}


def _unpacked(name: str) -> str:
    return name[:-3] if is_gzip(name) else name


def _suffix(name: str) -> str:
    """As `Path.suffix`, in lower case."""
    stem, dot, ending = base(name).rpartition(".")
    return f".{ending.lower()}" if stem and dot and ending else ""
