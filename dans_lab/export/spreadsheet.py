"""CSV that a spreadsheet opens without harm: names come from files of others, and a cell may be a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def csv_bytes(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """CSV in UTF-8 as RFC 4180 has it; None is an empty cell, and all text is `spreadsheet_text`."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([spreadsheet_text(cell) if isinstance(cell, str) else cell for cell in row])
    return stream.getvalue().encode()


def spreadsheet_text(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: one that could be gets a ' in front, as OWASP advises.

    Text that is a number stays as it is.
    """
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return "'" + text
    return text
