"""A file becomes triplets of checked names, held against the limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from dans_data import doubts, forms, idnames, jsonlines, naming, ntriples, parquet, rdf
from dans_data.columns import Columns
from dans_data.errors import InputError
from dans_data.faults import Faults, OnFault
from dans_data.limits import Limits
from dans_data.notes import Doubt, Remark
from dans_data.text import Meter, TripletFile, lines
from dans_data.triplets import RECIPROCAL, RESERVED_ENDING, ROLES, Triplet, name_problem, printable


def rows(
    part: TripletFile,
    text: Iterator[str],
    meter: Meter,
    columns: Columns,
    note: Callable[[str], None],
    fault: OnFault,
    told: Callable[[forms.Layout], None],
) -> forms.Rows:
    """The rows of a file from its lines; of a table, `told` gets the layout first, and `fault` what is no row.

    What is no text, as `is_text` says, is read from the file itself.

    Raises InputError where the file as a whole cannot be read.
    """
    if part.form == "nt":
        return ntriples.rows(text, note, fault)
    if part.form == "parquet":
        return parquet.rows(part, meter, note, fault, columns)
    if part.form in rdf.FORMS:
        return rdf.rows(text, part.form, part.where, note)
    if part.form == "plain":
        return forms.plain(text, part.where)
    if part.form == "jsonl":
        return jsonlines.rows(text, note, fault)
    if part.form == "2id":
        in_order = Columns((0, 2, 1), header=False)
        return forms.table(idnames.without_count(text), part.where, _in_silence, fault, "tsv", in_order)
    return forms.table(text, part.where, note, fault, part.form, columns, told)


def is_text(part: TripletFile) -> bool:
    """Whether a file is text, line by line."""
    return part.form != "parquet"


class Reader:
    """Reads the files of one data set, which share the limits and one string for each name.

    Attributes:
        notes: what was left out of the files.
    """

    def __init__(self, limits: Limits, columns: Columns | None = None) -> None:
        """`columns`: what a person says of those of the files."""
        self.notes: list[Remark | Doubt] = []
        self._limits = limits
        self._columns = columns or Columns()
        self._meter = Meter(limits)
        self._entities = _Names(limits, "entities")
        self._relations = _Names(limits, "relations")
        self._triplets = 0
        self._faults = Faults()

    def read(self, part: TripletFile) -> list[Triplet]:
        """The triplets of one file in its order, repeated ones included; lines that are none are told by `settle`.

        Raises:
            InputError: unreadable, not text, over a limit, or hardly a line that is three names; with file and line.
        """
        entities, relations = self._entities, self._relations
        left = self._limits.triplets - self._triplets
        found: list[Triplet] = []

        def note(words: str) -> None:
            self.notes.append(Remark(f"{naming.base(part.where)}: {words}"))

        if encoding := self._columns.encoding:
            part = replace(part, encoding=encoding)
            note(f"text read as {encoding}")
        fault = self._faults.of(part.where)
        layouts: list[forms.Layout] = []
        text = lines(part, self._meter)
        for number, row in rows(part, text, self._meter, self._columns, note, fault, layouts.append):
            if len(found) == left:
                raise InputError(f"{part.where}, line {number}: {_too_many('triplets', self._limits)}")
            try:
                found.append((entities[row[0]], relations[row[1]], entities[row[2]]))
            except _UnfitError as error:
                role = ROLES[row.index(error.written)]
                fault(number, f"the name of the {role} {error.problem}")
            except _TooManyError as error:
                raise InputError(f"{part.where}, line {number}: {error}") from None
        self._triplets += len(found)
        self._faults.count_read(len(found))
        for layout in layouts:
            if doubt := doubts.of(found, layout, self._columns, part.where):
                self.notes.append(doubt)
        return found

    def settle(self) -> None:
        """To be called once all files are read: notes the lines that were left out.

        Raises:
            BadLinesError: some lines are no triplets, and are not to be left out.
        """
        if left_out := self._faults.settle(self._columns.leave_out):
            self.notes.append(Remark(left_out))

    def names(self, part: TripletFile, labels: bool) -> dict[str, str]:
        """What a dictionary of ids calls each. Raises InputError as `idnames.read`."""
        return idnames.read(part, self._meter, labels)


def _in_silence(words: str) -> None:
    """OpenKE's form is known: spaces between the columns are nothing to be told."""


class _UnfitError(Exception):
    """A name as it is written, and what is wrong with it, in words that follow "the name"."""

    def __init__(self, written: str, problem: str) -> None:
        self.written = written
        self.problem = problem


class _TooManyError(Exception):
    """One more than a limit allows, in words."""


class _Names(dict[str, str]):
    """Maps a name as it is written to the one string that stands for it; a new name is checked first."""

    def __init__(self, limits: Limits, kind: str) -> None:
        """`kind`: "entities" or "relations", which limit counts them."""
        super().__init__()
        self._limits = limits
        self._kind = kind
        self._most: int = getattr(limits, kind)

    def __missing__(self, written: str) -> str:
        name = written.strip(" ")
        if name in self:
            return self[name]
        if problem := self._problem(name):
            raise _UnfitError(written, problem)
        if len(self) >= self._most:
            raise _TooManyError(_too_many(self._kind, self._limits))
        self[name] = name
        return name

    def _problem(self, name: str) -> str | None:
        if not name:
            return "is empty, expected three names"
        if len(name) > (most := self._limits.name_length):
            return (
                f'has {len(name):,} characters ("{printable(name[:40])}…"); expected at most {most:,}, '
                f"{self._limits.to_raise('name_length')}"
            )
        if self._kind == "relations" and name.endswith(RECIPROCAL):
            return f'"{printable(name, 40)}" {RESERVED_ENDING}'
        return name_problem(name)


def _too_many(kind: str, limits: Limits) -> str:
    return f"there are more than {getattr(limits, kind):,} {kind}; expected fewer, {limits.to_raise(kind)}"
