"""Parquet becomes rows of three names: a table whose columns have names and kinds, read by pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING, Any

from dans_data.columns import IN_THE_TERMINAL, KNOWN_WORDS, Columns, Places, of_header, of_values
from dans_data.errors import InputError
from dans_data.faults import OnFault
from dans_data.forms import Rows, quoted
from dans_data.text import Meter, TripletFile, content
from dans_data.triplets import ROLES, printable
from dans_data.words import count

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

_BATCH = 50_000
"""Rows in memory at a time."""

_SAMPLE = 100
"""Rows that decide what the columns hold where their names do not."""


def rows(
    part: TripletFile, meter: Meter, note: Callable[[str], None], fault: OnFault, columns: Columns
) -> Rows:
    """Rows of a Parquet file, numbered from 1; other columns are left out with a note.

    `fault` is told each row whose names are none.

    Raises:
        InputError: damaged, over a limit, or columns that cannot be told.
    """
    with _opened(part, meter) as file:
        names = file.schema_arrow.names
        places = columns.places or of_header(names) or _by_values(file, names)
        if places is None or max(places) >= len(names):
            raise InputError(f"{part.where}: {_unknown(names, columns)}")
        if others := [name for at, name in enumerate(names) if at not in places]:
            note(f"columns left out: {quoted(others)}")
        number = 0
        chosen = [names[place] for place in places]
        for batch in file.iter_batches(_BATCH, columns=chosen):
            head, relation, tail = (batch.column(name).to_pylist() for name in chosen)
            for values in zip(head, relation, tail, strict=True):
                number += 1
                written = [_name(value) for value in values]
                if None in written:
                    role = ROLES[written.index(None)]
                    fault(number, f"the {role} is neither a text nor a whole number")
                else:
                    first, middle, last = map(str, written)
                    yield number, (first, middle, last)


def first_rows(part: TripletFile, meter: Meter, most: int) -> list[list[str]]:
    """The names of the columns, and the first rows as text, for a person to say which is which.

    Raises InputError where the file is damaged or over a limit.
    """
    with _opened(part, meter) as file:
        sampled = _sample(file, most - 1)
        return [list(file.schema_arrow.names), *sampled]


@contextmanager
def _opened(part: TripletFile, meter: Meter) -> Iterator[ParquetFile]:
    """The file, whose metadata fits the limits; what goes wrong inside is told in one sentence."""
    from pyarrow.lib import ArrowException
    from pyarrow.parquet import ParquetFile

    data = content(part, meter)
    try:
        with ParquetFile(BytesIO(data)) as file:
            about = file.metadata
            size = sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups))
            meter.count(part, max(0, size - len(data)))
            yield file
    # Damaged files fail in many ways, deep inside Arrow.
    except (ArrowException, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = printable(str(error).partition("\n")[0], 80)
        raise InputError(
            f"{part.where} is damaged or no Parquet ({reason}); expected a whole file"
        ) from error


def _by_values(file: ParquetFile, names: Sequence[str]) -> Places | None:
    """Where head, relation and tail stand whose columns have other names."""
    if len(names) == 3:
        return 0, 1, 2
    return of_values(_sample(file, _SAMPLE)) if len(names) > 3 else None


def _sample(file: ParquetFile, most: int) -> list[list[str]]:
    batches = islice(file.iter_batches(max(1, most)), 1)
    found = [row for batch in batches for row in zip(*(c.to_pylist() for c in batch.columns), strict=True)]
    return [["" if value is None else str(value) for value in row] for row in found[:most]]


def _name(value: Any) -> str | None:
    """A value as a name; None for what names nothing."""
    if isinstance(value, str):
        return value
    # Of ids with gaps pandas makes floats.
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _unknown(names: Sequence[str], columns: Columns) -> str:
    if columns.places is not None:
        return f"{count(len(names), 'column')}, and column {max(columns.places) + 1} was asked for"
    return (
        f"{count(len(names), 'column')} ({quoted(names)}) whose names are not known; expected names such as "
        f"{KNOWN_WORDS}, or to be told which columns they are ({IN_THE_TERMINAL})"
    )
