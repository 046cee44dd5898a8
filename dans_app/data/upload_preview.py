"""A look at the beginning of files: how their text is written, in words, their first triplets, and their columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from io import BytesIO
from itertools import islice

from dans_data import Limits, Triplet, archives, forms, naming, parquet, rdf, reading
from dans_data.columns import Columns
from dans_data.errors import InputError
from dans_data.text import Meter, TripletFile, lines

_LINES = 200
"""Lines of a file that are looked at."""

_WAYS = {
    "nt": "N-Triples",
    "jsonl": "JSON lines",
    "2id": "ids as OpenKE writes them",
    "parquet": "Parquet",
    "plain": "text",
    **rdf.FORMS,
}


def preview(
    files: Sequence[tuple[str, bytes]], count: int, columns: Columns | None = None
) -> tuple[str, list[Triplet]]:
    """How files of triplets are written, and the first `count` triplets of the first one, or of train.

    Raises InputError as reading them does; but what stands further below is not looked at.
    """
    with _begun(files, columns) as parts:
        found = [_preview(part, beginning, count, columns or Columns()) for part, beginning in parts]
    ways = list(dict.fromkeys(way for way, _ in found))
    many = f"{len(found)} files: " if len(found) > 1 else ""
    return f"{_packed([name for name, _ in files])}{many}{' / '.join(ways)}", found[0][1]


def columns_of(
    files: Sequence[tuple[str, bytes]], count: int, columns: Columns | None = None
) -> list[list[str]]:
    """The first rows of the first table as they stand; empty where none can be told."""
    with suppress(InputError), _begun(files, columns) as parts:
        for part, beginning in parts:
            if part.form == "parquet":
                return parquet.first_rows(part, Meter(Limits.from_environment()), count)
            if part.form in ("tsv", "csv"):
                return forms.first_rows(beginning, part.where, part.form, count)
    return []


def _preview(
    part: TripletFile, beginning: list[str], count: int, columns: Columns
) -> tuple[str, list[Triplet]]:
    layouts: list[forms.Layout] = []
    meter = Meter(Limits.from_environment())
    rows = reading.rows(
        part, iter(beginning), meter, columns, lambda note: None, lambda line, problem: None, layouts.append
    )
    triplets = [
        (head.strip(" "), relation.strip(" "), tail.strip(" "))
        for _, (head, relation, tail) in islice(rows, count)
    ]
    if not layouts:
        return _WAYS.get(part.form, "text"), triplets
    kind = "CSV" if layouts[0].separator in ",;" else "text"
    return f"{kind}, {layouts[0]}", triplets


def _packed(names: Sequence[str]) -> str:
    if any(map(naming.is_zip, names)):
        return "zip archive, "
    return "packed by gzip, " if any(map(naming.is_gzip, names)) else ""


@contextmanager
def _begun(
    files: Sequence[tuple[str, bytes]], columns: Columns | None
) -> Iterator[list[tuple[TripletFile, list[str]]]]:
    """The texts in the files with their first lines, train before others."""
    limits = Limits.from_environment()
    encoding = columns.encoding if columns else None
    with _parts(files, limits) as found:
        parts = [replace(part, encoding=encoding) for part in found]
        yield [(part, _beginning(part, limits)) for part in parts]


def _beginning(part: TripletFile, limits: Limits) -> list[str]:
    """The first lines, of RDF all of them, since a part of it is none; none of what is no text."""
    if not reading.is_text(part):
        return []
    return list(islice(lines(part, Meter(limits)), None if part.form in rdf.FORMS else _LINES))


@contextmanager
def _parts(files: Sequence[tuple[str, bytes]], limits: Limits) -> Iterator[list[TripletFile]]:
    if len(files) == 1 and naming.is_zip(files[0][0]):
        name, data = files[0]
        with archives.opened(BytesIO(data), name, limits) as (found, _, _):
            yield [found] if isinstance(found, TripletFile) else list(found.values())
        return
    triplets = [file for file in files if not naming.dictionary_of(file[0])] or list(files)
    ordered = sorted(triplets, key=lambda file: naming.split_of(file[0]) != "train")
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
