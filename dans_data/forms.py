"""Lines become rows of three names: text separated by tabs, and CSV by its own rules, with or without a header."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice

from dans_data.errors import InputError
from dans_data.triplets import ROLES, printable, problem_within
from dans_data.words import count

Row = tuple[str, str, str]
Rows = Iterator[tuple[int, Row]]
"""Line numbers, from 1, with the names of head, relation and tail as they are written."""

_COLUMNS = {
    "head": ("head", "subject", "source", "from", "head_entity"),
    "relation": ("relation", "predicate", "relationship", "property", "edge", "type", "label"),
    "tail": ("tail", "object", "target", "to", "tail_entity"),
}
"""What a column may be called in a header; of two in one header the earlier here counts."""

_LETTERS = ("hrt", "spo")
"""Headers of a letter a column: head, relation, tail, and subject, predicate, object. Alone a letter may be a name."""

_SAMPLE = 100
"""Lines of a CSV file that decide what separates its columns."""


def tsv(lines: Iterable[str], where: str, note: Callable[[str], None]) -> Rows:
    """Rows of text separated by tabs; blank lines are passed over. Raises InputError with the line."""
    begun = False
    for number, line in enumerate(lines, start=1):
        columns = line.split("\t")
        if len(columns) == 3:
            head, relation, tail = columns
            if not begun and _header(columns):
                raise InputError(
                    f"{where}, line {number}: this is a header, expected triplets only; remove the line"
                )
            begun = True
            yield number, (head, relation, tail)
        elif line.strip(" "):
            raise InputError(
                f"{where}, line {number}: {problem_within(line) or _columns_found(line, columns)}"
            )


def comma_separated(lines: Iterator[str], where: str, note: Callable[[str], None]) -> Rows:
    """Rows of CSV: columns separated by "," or ";", names quoted or not, in the order that a header says.

    Other columns of a header are left out with a note; blank lines are passed over. Raises InputError with the line.
    """
    sample = list(islice(lines, _SAMPLE))
    delimiter = _delimiter(sample, where)
    head, relation, tail, width = 0, 1, 2, 3
    begun = False
    for number, row in _records(chain(sample, lines), delimiter, where):
        if not any(map(str.strip, row)) and len(row) < 2:
            continue
        if not begun:
            begun = True
            if places := _header(row):
                head, relation, tail = places
                width = len(row)
                left_out = [name.strip() for place, name in enumerate(row) if place not in places]
                if left_out:
                    names = ", ".join(f'"{printable(name, 40)}"' for name in left_out[:5])
                    note(f"columns left out: {names}{', …' if len(left_out) > 5 else ''}")
                continue
            if _lacks_relation(row):
                raise InputError(
                    f"{where}, line {number}: a header without a column for the relation; "
                    "expected head, relation and tail, in any order"
                )
        if len(row) != width:
            expected = "as in the header" if width != 3 else "head, relation, tail"
            hint = f'a name that holds "{delimiter}" stands in double quotes'
            if len(row) == 1 and row[0].count("\t") > 1:
                hint = "a file separated by tabs has a name that ends with .tsv"
            columns = count(len(row), "column")
            raise InputError(
                f'{where}, line {number}: {columns} separated by "{delimiter}", expected {width}: {expected}; {hint}'
            )
        yield number, (row[head], row[relation], row[tail])


def _records(lines: Iterable[str], delimiter: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """The records of CSV, each with the line where it begins."""
    reader = csv.reader(
        (line + "\n" for line in lines), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    while True:
        number = reader.line_num + 1
        try:
            yield number, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(
                f"{where}, line {number}: not CSV ({error}); expected each quoted name to end with its quote, "
                'and a quote in a name to be written ""'
            ) from error


def _delimiter(sample: Sequence[str], where: str) -> str:
    """What separates the columns: that which makes three of the first record, or columns of a header."""
    fitting: dict[str, set[int]] = {}
    for delimiter in ",;":
        rows: list[list[str]] = []
        # The sample may end inside a quoted name; a real fault is told when the row is read.
        with suppress(InputError):
            for _, row in _records(sample, delimiter, where):
                if row:
                    rows.append(row)
        if rows and (len(rows[0]) == 3 or _header(rows[0])):
            fitting[delimiter] = {len(row) for row in rows}
    even = [delimiter for delimiter, widths in fitting.items() if len(widths) == 1]
    if len(fitting) == 2 and len(even) == 2:
        raise InputError(
            f'{where}, line 1: "," and ";" both make three columns of every line; '
            "expected names that hold either to stand in double quotes"
        )
    if even:
        return even[0]
    if fitting:
        return next(iter(fitting))
    first = next((line for line in sample if line.strip()), "")
    return ";" if first.count(";") > first.count(",") else ","


def _header(row: Sequence[str]) -> tuple[int, int, int] | None:
    """Where head, relation and tail stand if this row names the columns."""
    names = [name.strip().lower() for name in row]
    for letters in _LETTERS:
        if sorted(names) == sorted(letters):
            return names.index(letters[0]), names.index(letters[1]), names.index(letters[2])
    head, relation, tail = (
        next((names.index(word) for word in _COLUMNS[role] if word in names), None) for role in ROLES
    )
    return None if head is None or relation is None or tail is None else (head, relation, tail)


def _lacks_relation(row: Sequence[str]) -> bool:
    names = {name.strip().lower() for name in row}
    return bool(names & set(_COLUMNS["head"])) and bool(names & set(_COLUMNS["tail"]))


def _columns_found(line: str, columns: Sequence[str]) -> str:
    hint = ""
    if len(columns) == 1 and max(line.count(","), line.count(";")) > 1:
        hint = "; a file separated by commas has a name that ends with .csv"
    elif len(columns) == 1 and line.startswith(("<", "_:")) and line.rstrip().endswith("."):
        hint = "; a file of N-Triples has a name that ends with .nt"
    return f"{count(len(columns), 'column')}, expected 3: head, relation, tail separated by tabs{hint}"
