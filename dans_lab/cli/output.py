"""How the commands print: tables for people, JSON for machines."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dans_data.faults import BadLinesError
from dans_data.notes import Doubt, Note
from dans_data.words import plural

_MOST_LINES = 20


def print_json(value: Any) -> None:
    """One line of JSON on standard output, at once."""
    print(json.dumps(value, allow_nan=False, ensure_ascii=False), flush=True)


def noted(note: Note, source: str = "FILE") -> str:
    """What was noted of a data set, and where it is doubtful how to say it rightly."""
    if not isinstance(note, Doubt):
        return str(note)
    option = "--header" if note.about == "header" else "--columns 1,3,2"
    return f"{note}. If that is wrong: python -m dans_core datasets --add {source} {option}"


def line_by_line(error: BadLinesError) -> list[str]:
    """Every line that is no triplet with what is wrong, some at most, and how to leave them out where that may help."""
    told = [str(error)]
    if error.count > 1:
        shown = error.faults[:_MOST_LINES]
        told = [f"{error.count:,} lines are no triplets, and {error.read:,} are"]
        told += [f"  {fault.where}, line {fault.line}: {fault.problem}" for fault in shown]
        if more := error.count - len(shown):
            told.append(f"  and {more:,} more")
    if not error.few:
        told += ["these are most of the lines, so the file may be of another form"] * (error.count > 1)
    else:
        them = plural(error.count, "it", "them")
        told.append(f"mend {them}, or leave {them} out: python -m dans_core datasets --add FILE --leave-out")
    return told


def print_table(title: str, columns: list[tuple[str, bool]], rows: list[list[str]]) -> None:
    """A table on standard output; a column is its heading and whether it holds numbers.

    Names from data are printed as they are: no markup is read in them. Where no terminal sets a width, nothing wraps.
    """
    print(title)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True)
    for heading, numbers in columns:
        table.add_column(heading, justify="right" if numbers else "left", overflow="fold", no_wrap=numbers)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else 200).print(table)
