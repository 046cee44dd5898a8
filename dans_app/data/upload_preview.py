"""A look at the beginning of files: how their text is written, in words, and their first triplets in their order."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from itertools import islice

from dans_data import Limits, Triplet, archives, forms, naming, ntriples
from dans_data.text import Meter, TripletFile, lines

_LINES = 200
"""Lines of a file that are looked at."""

_ROWS = {"tsv": forms.tsv, "csv": forms.comma_separated, "nt": ntriples.rows}


def preview(files: Sequence[tuple[str, bytes]], count: int) -> tuple[str, list[Triplet]]:
    """How files of triplets are written, and the first `count` triplets of the first one, or of train.

    Raises InputError as reading them does; but what stands further below is not looked at.
    """
    limits = Limits.from_environment()
    found = []
    with _parts(files, limits) as parts:
        for part in parts:
            beginning = list(islice(lines(part, Meter(limits)), _LINES))
            found.append(_preview(part, beginning, count))
    ways = list(dict.fromkeys(way for way, _ in found))
    packed = _packed([name for name, _ in files])
    many = f"{len(found)} files: " if len(found) > 1 else ""
    return f"{packed}{many}{' / '.join(ways)}", found[0][1]


def _preview(part: TripletFile, beginning: list[str], count: int) -> tuple[str, list[Triplet]]:
    rows = list(islice(_ROWS[part.form](iter(beginning), part.where, lambda note: None), count))
    triplets = [(head.strip(" "), relation.strip(" "), tail.strip(" ")) for _, (head, relation, tail) in rows]
    first = next((number for number, line in enumerate(beginning, start=1) if line.strip()), 1)
    header = "with a header" if rows and rows[0][0] > first else "no header"
    if part.form == "nt":
        return "N-Triples", triplets
    if part.form == "csv":
        mark = _separator(beginning[rows[0][0] - 1 :], rows[0][1]) if rows else ","
        return f"CSV, columns separated by {'semicolons' if mark == ';' else 'commas'}, {header}", triplets
    return f"text, columns separated by tabs, {header}", triplets


def _separator(beginning: Sequence[str], row: Triplet) -> str:
    """The separator that splits the first line into these names."""
    for mark in ",;":
        columns = next(
            csv.reader((f"{line}\n" for line in beginning), delimiter=mark, skipinitialspace=True), []
        )
        if set(row) <= set(columns):
            return mark
    return ","


def _packed(names: Sequence[str]) -> str:
    if any(map(naming.is_zip, names)):
        return "zip archive, "
    return "packed by gzip, " if any(map(naming.is_gzip, names)) else ""


@contextmanager
def _parts(files: Sequence[tuple[str, bytes]], limits: Limits) -> Iterator[list[TripletFile]]:
    """The texts in the files, train before others."""
    if len(files) == 1 and naming.is_zip(files[0][0]):
        name, data = files[0]
        with archives.opened(BytesIO(data), name, limits) as (found, _):
            yield [found] if isinstance(found, TripletFile) else list(found.values())
        return
    ordered = sorted(files, key=lambda file: naming.split_of(file[0]) != "train")
    yield [
        TripletFile(
            name,
            naming.form_of(name),
            partial(BytesIO, data),
            len(data) * naming.is_gzip(name),
            naming.is_gzip(name),
        )
        for name, data in ordered
    ]
