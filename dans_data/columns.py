"""Which columns hold head, relation and tail: as a person says, as a header names them, as the values show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dans_data.errors import InputError
from dans_data.triplets import ROLES, printable

_WORDS = {
    "head": (
        *("head", "subject", "source", "from", "head_entity", "head_name", "head_id", "start_id", "start"),
        *("node1", "src", "source_id", "source_name", "subject_id", "x_name", "x_id", "entity1", "node_1"),
    ),
    "relation": (
        *("relation", "predicate", "relationship", "property", "metaedge", "edge", "edge_type", "rel"),
        *("relation_name", "relation_type", "relation_id", "predicate_id", "interaction", "type", "label"),
    ),
    "tail": (
        *("tail", "object", "target", "to", "tail_entity", "tail_name", "tail_id", "end_id", "end"),
        *("node2", "dst", "destination", "target_id", "target_name", "object_id", "y_name", "y_id"),
        *("entity2", "node_2"),
    ),
}
"""What a column may be called in a header; of two in one header the earlier here counts."""

IN_THE_TERMINAL = "python -m dans_core datasets --add FILE --columns 1,2,3"
"""How columns are said there: the numbers of those of head, relation and tail."""

KNOWN_WORDS = "head, relation, tail; subject, predicate, object; source, type, target; node1, label, node2"
"""Some of them, for people."""

_LETTERS = ("hrt", "spo")
"""Headers of a letter a column: head, relation, tail, and subject, predicate, object. Alone a letter may be a name."""

_BOUND = re.compile(r"\w+\.\w+")
_BOUND_TYPE = re.compile(r"type\(\w+\)")

_FEW = 10
"""A column without a name is no part of a triplet where at most one in so many of its values are different."""

_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?")
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?:[T ]\d{1,2}:\d{2}.*)?|\d{1,2}[./]\d{1,2}[./]\d{4}")

Places = tuple[int, int, int]
"""Where head, relation and tail stand, from 0."""


@dataclass(frozen=True)
class Columns:
    """What a person says of the columns and lines of a file; None where the file shall tell.

    Attributes:
        places: where head, relation and tail stand, from 0.
        header: whether the first line names the columns.
        leave_out: whether lines that are no triplets are left out.
        encoding: how text is encoded, by a name that Python knows; UTF-8 where nothing is said.
    """

    places: Places | None = None
    header: bool | None = None
    leave_out: bool = False
    encoding: str | None = None

    @classmethod
    def parse(
        cls,
        text: str | None,
        header: bool | None = None,
        leave_out: bool = False,
        encoding: str | None = None,
    ) -> Columns:
        """From "1,3,2": the columns, from 1, of head, relation and tail.

        Raises:
            InputError: other than three different whole numbers, or an encoding that is not known.
        """
        if encoding is not None and not _is_encoding(encoding):
            raise InputError(
                f'there is no encoding "{printable(encoding, 40)}"; expected one such as windows-1252, windows-1251, '
                "iso-8859-2, shift_jis or gb18030"
            )
        if text is None:
            return cls(None, header, leave_out, encoding)
        numbers = [int(part) for part in text.split(",") if re.fullmatch(r" *[0-9]{1,4} *", part)]
        if len(numbers) != 3 or text.count(",") != 2 or len(set(numbers)) != 3 or min(numbers) < 1:
            raise InputError(
                f'the columns are "{printable(text, 40)}"; expected the numbers of those of head, relation and '
                "tail, counted from 1, such as 1,3,2"
            )
        head, relation, tail = numbers
        return cls((head - 1, relation - 1, tail - 1), header, leave_out, encoding)


def of_header(row: Sequence[str]) -> Places | None:
    """Where head, relation and tail stand if this row names the columns, in words that are known."""
    names = [_word(name) for name in row]
    for letters in _LETTERS:
        if sorted(names) == sorted(letters):
            return names.index(letters[0]), names.index(letters[1]), names.index(letters[2])
    if places := _of_query(names):
        return places
    head, relation, tail = (
        next((names.index(word) for word in _WORDS[role] if word in names), None) for role in ROLES
    )
    return None if head is None or relation is None or tail is None else (head, relation, tail)


def lacks_relation(row: Sequence[str]) -> bool:
    """Whether this row names the columns of head and tail, and none of a relation."""
    names = {_word(name) for name in row}
    return bool(names & set(_WORDS["head"])) and bool(names & set(_WORDS["tail"]))


def of_values(rows: Sequence[Sequence[str]]) -> Places | None:
    """Where head, relation and tail stand in rows of one width above three, if the other columns are surely none.

    These are an index, numbers, dates, empty, or have few values. ConceptNet's own rows are known: the assertion, its
    relation, start and end.
    """
    if not rows:
        return None
    if all(row[0].startswith("/a/[") and row[1].startswith("/r/") for row in rows):
        return 2, 1, 3
    columns = list(zip(*rows, strict=True))
    begin = int(_counts_up(columns[0]))
    head, relation, tail, *others = range(begin, len(columns))
    return (head, relation, tail) if all(_surely_none(columns[place]) for place in others) else None


def is_header_of(row: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether a row stands above a column of numbers or dates, and is none there: then it names the columns."""
    return bool(rows) and any(
        value.strip() and not _is_value(value) and all(cell.strip() and _is_value(cell) for cell in column)
        for value, *column in zip(row, *rows, strict=True)
    )


def _is_value(value: str) -> bool:
    return bool(_NUMBER.fullmatch(value.strip()) or _DATE.fullmatch(value.strip()))


def _is_encoding(name: str) -> bool:
    """Whether Python reads text by this name."""
    try:
        return isinstance(b"a".decode(name), str)
    except (LookupError, ValueError):
        return False


def _word(name: str) -> str:
    """A name of a column without what surrounds the word: ":START_ID(Person)" is "start_id"."""
    bare = name.strip().lower().lstrip("#:").strip()
    return bare if "type(" in bare else re.sub(r"\(.*\)$", "", bare)


def _of_query(names: Sequence[str]) -> Places | None:
    """A header as Cypher writes one: n.name, type(r), m.name; the head is what stands first."""
    types = [place for place, name in enumerate(names) if _BOUND_TYPE.fullmatch(name)]
    bound = [place for place, name in enumerate(names) if _BOUND.fullmatch(name)]
    return (bound[0], types[0], bound[1]) if len(types) == 1 and len(bound) == 2 else None


def _counts_up(column: Sequence[str]) -> bool:
    """Whether this is an index: each value one more than the one above it."""
    if not all(value.strip().isascii() and value.strip().isdigit() for value in column):
        return False
    numbers = [int(value) for value in column]
    return len(numbers) > 1 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _surely_none(column: Sequence[str]) -> bool:
    values = [value.strip() for value in column]
    few = len(values) > 1 and len(set(values)) <= max(1, len(values) // _FEW)
    return few or all(not value or _is_value(value) for value in values)
