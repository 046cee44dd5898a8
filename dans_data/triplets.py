"""What a data set is: three splits of named triplets, and which names may stand in them."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from dans_data.notes import ReadingNote

Triplet = tuple[str, str, str]
Counts = tuple[int, int, int, int, int]
"""Entities, relations, and distinct triplets of train, valid and test."""

SPLITS = ("train", "valid", "test")
ROLES = ("head", "relation", "tail")

RECIPROCAL = "⁻¹"
"""The ending of a reciprocal relation's name; relations of a data set may not end with it."""

RESERVED_ENDING = f"ends with {RECIPROCAL}, which is kept for reciprocal relations; rename it"

# Marks that turn the direction of writing: two names look alike, or out of order.
_TURNING = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
# Control characters, line and paragraph separators, byte order marks: unseen, two names look like one.
_UNPRINTABLE = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff{_TURNING}]")


@dataclass(frozen=True)
class Dataset:
    """What `load` found: the named triplets of each split, in file order, and what a reader should know.

    `split_seed` is the seed that one file was split with; None where the files were split already.
    """

    name: str
    splits: Mapping[str, list[Triplet]]
    notes: tuple[ReadingNote, ...] = ()
    split_seed: int | None = None


def facts_hash(splits: Mapping[str, Iterable[Triplet]], unused: Iterable[str] = ()) -> str:
    """The identity of a data set: sha256 of its facts by name, in hexadecimal.

    The triplets of each split come sorted and distinct. Hashed are the lines "split TAB head TAB relation TAB
    tail LF" in UTF-8, splits in the order of their names; then each line of `unused`, ended by LF.
    """
    digest = hashlib.sha256()
    for split in sorted(splits):
        lines = (f"{split}\t{head}\t{relation}\t{tail}\n" for head, relation, tail in splits[split])
        while some := "".join(islice(lines, 100_000)):
            digest.update(some.encode())
    digest.update("".join(f"{line}\n" for line in unused).encode())
    return digest.hexdigest()


def counts(splits: Mapping[str, Collection[Triplet]]) -> Counts:
    """How many entities, relations, and triplets of train, valid and test; the triplets come distinct."""
    entities = {name for rows in splits.values() for head, _, tail in rows for name in (head, tail)}
    relations = {relation for rows in splits.values() for _, relation, _ in rows}
    train, valid, test = (len(splits[split]) for split in SPLITS)
    return len(entities), len(relations), train, valid, test


def name_problem(name: str) -> str | None:
    """What is wrong with the name of an entity or relation, in words, or None: empty, padded, unprintable."""
    stripped = name.strip(" ")
    if not stripped:
        return "is empty"
    if len(stripped) != len(name):
        return "begins or ends with a space"
    # What is printable to Python, nearly every name, needs no closer look.
    if name.isprintable():
        return None
    bad = _UNPRINTABLE.search(name)
    return unprintable(bad[0]) if bad else None


def unprintable(character: str) -> str:
    """Why a name may not contain this character, in words."""
    code = f"contains the character U+{ord(character):04X}, which"
    if re.match(f"[{_TURNING}]", character):
        return f"{code} turns the direction of writing, so that names look alike or out of order; take it out"
    return f"{code} cannot be printed"


def problem_within(line: str) -> str | None:
    """What is wrong with the characters of a whole line, in words, or None; tabs may stand in it."""
    bad = _UNPRINTABLE.search(line.replace("\t", " "))
    return f"the line {unprintable(bad[0])}" if bad else None


def printable(text: str, longest: int | None = None) -> str:
    """A text of a person as part of a sentence: one line, each unprintable character by its code, shortened."""
    shown = _UNPRINTABLE.sub(lambda bad: f"\\u{ord(bad[0]):04x}", text)
    return shown if longest is None or len(shown) <= longest else f"{shown[:longest]}…"


def suggestion(wrong: str, names: Iterable[str]) -> str:
    """`; did you mean "…"?` with the names that look like `wrong`, or nothing."""
    by_lower = {name.lower(): name for name in names}
    close = [by_lower[lower] for lower in difflib.get_close_matches(wrong.lower(), by_lower, n=3)]
    quoted = " or ".join(f'"{name}"' for name in close)
    return f"; did you mean {quoted}?" if close else ""
