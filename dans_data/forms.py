"""Lines become rows of three names: a table, its columns separated by tabs, commas or what else makes them even."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice

from dans_data.columns import (
    IN_THE_TERMINAL,
    KNOWN_WORDS,
    Columns,
    Places,
    is_header_of,
    lacks_relation,
    of_header,
    of_values,
)
from dans_data.errors import InputError
from dans_data.faults import OnFault
from dans_data.triplets import printable, problem_within
from dans_data.words import count, plural

Row = tuple[str, str, str]
Rows = Iterator[tuple[int, Row]]
"""Line numbers, from 1, with the names of head, relation and tail as they are written."""

Record = tuple[int, list[str]]
"""The line where a record begins, and its columns."""

SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "pipes", " ": "spaces"}
"""What separates columns, in words."""

_OF_FORM = {"tsv": "\t,;| ", "csv": ",;\t| "}
"""Which separators are tried, by what the ending of the file promises."""

_SAMPLE = 100
"""Lines that decide what separates the columns, and what they hold."""

_ANY = 1_000_000
"""More columns than any row has."""

_TITLES = 5
"""Rows among which the table begins; those above it are told as faults."""

_EVEN = 0.9
"""The share of the rows that must be of one width where only that speaks for a separator."""

_LONGEST_RECORD = 50
"""Lines that one record of CSV may take."""

_UNENDED = "unexpected end of data"
"""What `csv` says where a quotation does not end."""

_DECLARED = re.compile(r'"?sep=(.)"?')
"""The first line that Excel writes and reads."""


@dataclass(frozen=True)
class Layout:
    """How a table is written.

    Attributes:
        separator: one of `SEPARATORS`; " " is any number of spaces.
        quoted: of lines that are not CSV, whether every name stands in double quotes.
        places: where head, relation and tail stand.
        width: columns of a row.
        header: the columns' names, of a header that was found or said to be one.
        most: columns of a row with those that are empty at its end; more are a fault.
        first: the line of the first row or of the header.
        skipped: lines of comment before it.
        unnamed: what the first row has in columns that are left out, where no header names them.
    """

    separator: str
    quoted: bool
    places: Places
    width: int
    most: int
    header: tuple[str, ...] | None
    first: int
    skipped: int = 0
    unnamed: tuple[str, ...] = ()

    def __str__(self) -> str:
        with_header = "with a header" if self.header else "no header"
        return f"columns separated by {SEPARATORS[self.separator]}, {with_header}"


def table(
    lines: Iterator[str],
    where: str,
    note: Callable[[str], None],
    fault: OnFault,
    form: str,
    columns: Columns | None = None,
    found: Callable[[Layout], None] = lambda layout: None,
) -> Rows:
    """Rows of a table; `form` is "csv" or "tsv", what its name promises, and `columns` what a person says of them.

    Other columns are left out with a note; blank lines, and comments that begin with "#", are passed over. `found`
    is told the layout before the first row comes, and `fault` each line that is no row. Raises InputError where the
    layout cannot be told.
    """
    # There may be millions of them, and a sample of nothing tells nothing.
    above, begun = 0, ""
    for begun in lines:
        if begun.strip():
            break
        above += 1
    sample = [begun, *islice(lines, _SAMPLE - 1)]
    layout = layout_of(sample, where, form, columns, above)
    if layout is None:
        return
    found(layout)
    _tell(layout, form, note)
    comments, tabs = layout.skipped, 0
    begin = layout.first + bool(layout.header)
    width, (at_head, at_relation, at_tail) = layout.width, layout.places
    for number, row in _records(chain(_without_declaration(sample), lines), layout, above, fault):
        if number < begin:
            if number < layout.first and any(map(str.strip, row)) and not _is_comment(row):
                fault(number, _misfit(row, layout))
            continue
        if len(row) != width or not row[0].strip():
            if _is_blank(row, layout):
                continue
            if len(row) <= layout.most:
                row = _cut(row, width)
            if len(row) != width:
                if row[0].startswith("#"):
                    comments += 1
                    continue
                fault(number, _misfit(row, layout))
                continue
        head, relation, tail = row[at_head], row[at_relation], row[at_tail]
        if "\t" in head or "\t" in relation or "\t" in tail:
            tabs += 1
            head, relation, tail = (name.replace("\t", " ") for name in (head, relation, tail))
        yield number, (head, relation, tail)
    if tabs:
        note(f"tabs within names read as spaces in {count(tabs, 'line')}")
    if comments:
        note(f"{count(comments, 'line')} of comment passed over")


def plain(lines: Iterable[str], where: str) -> Rows:
    """Rows of text as this program writes it: three names between tabs, whatever they look like.

    Blank lines are passed over. Raises InputError with the line.
    """
    for number, line in enumerate(lines, start=1):
        columns = line.split("\t")
        if len(columns) == 3:
            yield number, (columns[0], columns[1], columns[2])
        elif line.strip(" "):
            raise InputError(
                f"{where}, line {number}: {problem_within(line) or count(len(columns), 'column')}; expected 3: "
                "head, relation, tail separated by tabs"
            )


def layout_of(
    sample: Sequence[str], where: str, form: str, columns: Columns | None = None, above: int = 0
) -> Layout | None:
    """How the table is written that begins with these lines, below so many others; None where they hold no row.

    Raises:
        InputError: columns that cannot be told, with the line; or a person's columns that are not there.
    """
    said = columns or Columns()
    separator = _separator(sample, where, form)
    records = [(number + above, row) for number, row in _sampled(sample, separator)]
    if not records:
        return None
    begin = _begin([row for _, row in records])
    skipped = sum(_is_comment(row) for _, row in records[:begin])
    (first, row), *below = records[begin:]
    known = of_header(row) if said.header is not False else None
    header = said.header or known is not None
    rows = [record for _, record in (below if header else records[begin:])]
    places = said.places or known
    if places is None and said.header is None and lacks_relation(row):
        raise InputError(
            f"{where}, line {first}: a header without a column for the relation; "
            f"expected head, relation and tail, in any order ({KNOWN_WORDS}), or to be told which columns they are "
            f"({IN_THE_TERMINAL})"
        )
    width = len(_trimmed(row, 3 if places is None else max(places) + 1))
    if places is None:
        places, width = _places(rows, max(width, 3)), max(width, 3)
        if places is None and said.header is None:
            below_it = _even(rows[1:], width)
            if is_header_of(row, below_it) and (places := of_values(below_it)):
                header = True
    if places is None:
        raise InputError(f"{where}, line {first}: {_roles_unknown(row, width, header, separator)}")
    if max(places) >= width:
        raise InputError(
            f"{where}, line {first}: {count(width, 'column')} separated by {SEPARATORS[separator]}, "
            f"and column {max(places) + 1} was asked for"
        )
    names = tuple(name.strip().lstrip("#").strip() for name in row[:width]) if header else None
    unnamed = () if header else tuple(value for at, value in enumerate(row[:width]) if at not in places)
    quoted = separator not in ",;" and bool(rows) and all(map(_in_quotes, rows[0][:width]))
    # An empty column more may come from a comma in a name where other columns may be empty, too.
    most = max(len(row) for _, row in [(first, row), *below[:1]]) if width > 3 and separator in ",;" else _ANY
    return Layout(separator, quoted, places, width, most, names, first, skipped, unnamed)


def _begin(rows: Sequence[Sequence[str]]) -> int:
    """Which row is the first one or the header: no comment, and no title if one of three columns follows soon."""
    candidates = [at for at, row in enumerate(rows) if not _is_comment(row)] or [len(rows) - 1]
    wide = (at for at in candidates[:_TITLES] if len(_trimmed(rows[at], 0)) >= 3)
    return next(wide, candidates[0])


def _places(rows: Sequence[Sequence[str]], width: int) -> Places | None:
    """Where head, relation and tail stand that nobody names: the first three, or by what the other columns hold."""
    if width == 3:
        return 0, 1, 2
    return of_values(_even(rows, width))


def _even(rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """The rows of this width."""
    return [even for row in rows if len(even := _cut(row, width)) == width]


def first_rows(sample: Sequence[str], where: str, form: str, count: int) -> list[list[str]]:
    """The columns of the first rows as they stand, a header among them, for a person to say which is which."""
    separator = _separator(sample, where, form)
    rows = [row for _, row in _sampled(sample, separator)]
    found = [row for row in rows[_begin(rows) :] if not _is_comment(row)] if rows else []
    return [_trimmed(row, 3) for row in found[:count]]


# --- rows ------------------------------------------------------------------------------------------------------


def _records(lines: Iterable[str], layout: Layout, above: int, fault: OnFault) -> Iterator[Record]:
    if layout.separator in ",;":

        def fits(row: Sequence[str]) -> bool:
            """Whether this is one row, and no name of it has swallowed whole rows."""
            within = [line for at in layout.places if at < len(row) for line in row[at].split("\n")[:-1]]
            swallowed = any(len(line.split(layout.separator)) >= layout.width for line in within)
            return len(_cut(row, layout.width)) == layout.width and not swallowed

        yield from _of_csv(lines, layout.separator, above, fault, fits)
        return
    separator, quoted = layout.separator, layout.quoted
    for number, line in enumerate(lines, start=above + 1):
        # Nearly all lines are this simple.
        if separator != " " and '"' not in line:
            yield number, line.split(separator)
        else:
            yield number, _columns(line, separator, quoted)


def _columns(line: str, separator: str, quoted: bool = False) -> list[str]:
    """The columns of a line. Quotes count as in CSV where they are needed, or where all names have them."""
    columns = line.split() if separator == " " else line.split(separator)
    if '"' in line and separator != " " and (quoted or any(map(_needed_quotes, columns))):
        with suppress(csv.Error):
            read = next(csv.reader([line], delimiter=separator, strict=True))
            # Else the quotes are part of names that fit as they are.
            return read if len(read) >= 3 else columns
    return columns


def _needed_quotes(column: str) -> bool:
    """Whether a column cannot be a name as it is: it begins a quotation that holds a separator or another quote."""
    if not column.startswith('"') or len(column) < 2:
        return False
    return not column.endswith('"') or '""' in column[1:-1]


def _in_quotes(column: str) -> bool:
    return len(column) > 1 and column.startswith('"') and column.endswith('"')


def _of_csv(
    lines: Iterable[str],
    delimiter: str,
    above: int,
    fault: OnFault,
    fits: Callable[[Sequence[str]], bool] = lambda row: True,
) -> Iterator[Record]:
    """Records of CSV. One over several lines has to fit, so that a quote that is not closed costs only its own line."""
    ahead: deque[str] = deque()
    source = iter(lines)
    number = above
    while (line := ahead.popleft() if ahead else next(source, None)) is not None:
        number += 1
        # Nearly all lines are this simple.
        if '"' not in line:
            yield number, line.split(delimiter)
            continue
        taken = [line]
        row, problem = _record(taken, delimiter)
        while problem == _UNENDED and len(taken) < _LONGEST_RECORD:
            more = ahead.popleft() if ahead else next(source, None)
            if more is None:
                break
            taken.append(more)
            if '"' in more:
                row, problem = _record(taken, delimiter)
        if problem or (len(taken) > 1 and not fits(row)):
            ahead.extendleft(reversed(taken[1:]))
            what = _UNENDED if len(taken) > 1 else problem
            expected = 'each quoted name to end with its quote, and a quote in a name to be written ""'
            fault(number, f"not CSV ({what}); expected {expected}")
        else:
            yield number, row
            number += len(taken) - 1


def _record(lines: Sequence[str], delimiter: str) -> tuple[list[str], str]:
    """The columns of a record over so many lines, and what is wrong with it, if anything, in words of `csv`."""
    reader = csv.reader(
        (line + "\n" for line in lines), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    try:
        return next(reader), ""
    except csv.Error as error:
        return [], str(error)


def _without_declaration(lines: Iterable[str]) -> Iterator[str]:
    """The lines, the first one blank where it declares the separator, so that the others keep their numbers."""
    for at, line in enumerate(lines):
        yield "" if not at and _DECLARED.fullmatch(line) else line


def _is_blank(row: Sequence[str], layout: Layout) -> bool:
    """Whether a row says nothing: an empty line, or empty cells as spreadsheets leave them. Tabs alone are a fault."""
    return not any(map(str.strip, row)) and (len(row) < 2 or layout.separator in ",;")


def _cut(row: Sequence[str], width: int) -> list[str]:
    """A row without the empty columns beyond so many."""
    return list(row[:width]) if not any(map(str.strip, row[width:])) else list(row)


def _trimmed(row: Sequence[str], least: int) -> list[str]:
    """A row without empty columns at its end, but with so many."""
    end = len(row)
    while end > least and not row[end - 1].strip():
        end -= 1
    return list(row[:end])


def _is_comment(row: Sequence[str]) -> bool:
    """Whether a line above the first row is one of comment. A name may begin with "#", so its columns count, too."""
    begins = row[0].startswith("#")
    return begins and (len(row) < 3 or row[0] == "#" or row[0].startswith("# ")) and not of_header(row)


# --- what separates them ----------------------------------------------------------------------------------------


def _separator(sample: Sequence[str], where: str, form: str) -> str:
    """What separates the columns: what the name promises if it makes three of the first row, else what fits all."""
    if sample and (declared := _DECLARED.fullmatch(sample[0])) and declared[1] in SEPARATORS:
        return declared[1]
    tried = _OF_FORM[form]
    fitting = {separator: share for separator in tried if (share := _evenness(sample, separator))}
    # Commas may stand in names, and tabs hardly ever.
    if form == "csv" and fitting.get("\t", 0) < _EVEN:
        both = [separator for separator in ",;" if separator in fitting]
        if len(both) == 2 and fitting[","] == fitting[";"] == 1:
            raise InputError(
                f'{where}, line 1: "," and ";" both make three columns of every line; '
                "expected names that hold either to stand in double quotes"
            )
        if both:
            return max(both, key=lambda separator: fitting[separator])
    elif "\t" in fitting:
        return "\t"
    if others := [separator for separator, share in fitting.items() if share >= _EVEN]:
        return others[0]
    first = next((line for line in sample if line.strip() and not line.startswith("#")), "")
    if form == "csv":
        return ";" if first.count(";") > first.count(",") else ","
    return "\t"


def _evenness(sample: Sequence[str], separator: str) -> float:
    """The share of rows that are as wide as the first one, if a separator makes three columns of it or more; else 0."""
    every = [row for _, row in _sampled(sample, separator)]
    rows = [row for row in every[_begin(every) :] if not _is_comment(row)] if every else []
    if not rows or (width := len(_trimmed(rows[0], 3))) < 3 or (separator == " " and width != 3):
        return 0.0
    return sum(len(_cut(row, width)) == width for row in rows) / len(rows)


def _sampled(sample: Sequence[str], separator: str) -> list[Record]:
    """The rows of the sample that are not blank; what is no row is told when it is read."""
    sample = list(_without_declaration(sample))
    if separator in ",;":
        found = list(_of_csv(sample, separator, 0, lambda number, problem: None))
    else:
        found = [
            (number, _columns(line, separator))
            for number, line in enumerate(sample, start=1)
            if line.strip(" ")
        ]
    return [(number, row) for number, row in found if any(map(str.strip, row))]


# --- words ------------------------------------------------------------------------------------------------------


def _tell(layout: Layout, form: str, note: Callable[[str], None]) -> None:
    if layout.separator not in ("\t" if form == "tsv" else ",;"):
        note(f"columns separated by {SEPARATORS[layout.separator]}")
    if layout.header:
        named = [name for place, name in enumerate(layout.header) if place not in layout.places]
        if named:
            note(f"columns left out: {quoted(named)}")
    elif layout.unnamed:
        numbers = [place + 1 for place in range(layout.width) if place not in layout.places]
        note(
            f"{plural(len(numbers), 'column')} left out: {', '.join(map(str, numbers))} "
            f"({quoted(layout.unnamed)} in line {layout.first})"
        )


def quoted(names: Sequence[str], most: int = 5, width: int = 40) -> str:
    """The first names, cut to a width, in quotation marks, to be part of a sentence."""
    shown = ", ".join(f'"{printable(name.strip(), width)}"' for name in names[:most])
    return f"{shown}{', …' if len(names) > most else ''}"


def _roles_unknown(row: Sequence[str], width: int, header: bool, separator: str) -> str:
    what = "a header whose words are not known" if header else "no header that is known"
    return (
        f"{count(width, 'column')} separated by {SEPARATORS[separator]} ({quoted(row, 3, 12)}) and {what}; expected "
        f"three columns, a header such as head, relation, tail, or to be told which columns they are "
        f"({IN_THE_TERMINAL})"
    )


def _misfit(row: Sequence[str], layout: Layout) -> str:
    """Why a row of another width is none, in words."""
    if layout.separator not in ",;" and (problem := problem_within(layout.separator.join(row))):
        return problem
    expected = "head, relation, tail" if layout.width == 3 else "as in the first line"
    return (
        f"{count(len(row), 'column')}, expected {layout.width}: {expected} separated by "
        f"{SEPARATORS[layout.separator]}{_hint(row, layout)}"
    )


def _hint(row: Sequence[str], layout: Layout) -> str:
    if layout.separator in ",;":
        return f'; a name that holds "{layout.separator}" stands in double quotes'
    text = row[0] if len(row) == 1 else ""
    if text.startswith(("<", "_:")) and text.rstrip().endswith("."):
        return "; a file of N-Triples has a name that ends with .nt"
    found = [name for mark, name in SEPARATORS.items() if text.count(mark) > 1 and mark != layout.separator]
    return f"; it seems to be separated by {found[0]}" if found else ""
