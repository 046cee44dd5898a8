"""JSON lines become rows of three names: an object or an array of three a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from dans_data.columns import KNOWN_WORDS, of_header
from dans_data.faults import OnFault
from dans_data.forms import Row, Rows
from dans_data.triplets import printable

_EXPECTED = 'expected one triplet a line, such as {"head": "a", "relation": "r", "tail": "b"}'


def rows(lines: Iterable[str], note: Callable[[str], None], fault: OnFault) -> Rows:
    """Rows of JSON lines; blank lines are passed over, and other keys left out with a note.

    `fault` is told each line that is no row.
    """
    left_out: dict[str, None] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                row = _row(json.loads(line), left_out)
            except (ValueError, RecursionError) as error:
                reason = error.args[0] if isinstance(error, _UnfitError) else "the line is no JSON"
                fault(number, f"{reason}; {_EXPECTED}")
            else:
                yield number, row
    if left_out:
        names = ", ".join(f'"{printable(name, 40)}"' for name in list(left_out)[:5])
        note(f"keys left out: {names}{', …' if len(left_out) > 5 else ''}")


class _UnfitError(ValueError):
    """Why a line is no triplet, in words."""


def _row(value: Any, left_out: dict[str, None]) -> Row:
    if isinstance(value, dict):
        keys = list(value)
        places = of_header(keys)
        if places is None:
            raise _UnfitError(f"no keys for head, relation and tail are known ({KNOWN_WORDS})")
        left_out.update(dict.fromkeys(key for at, key in enumerate(keys) if at not in places))
        value = [value[keys[place]] for place in places]
    if not isinstance(value, list) or len(value) != 3:
        raise _UnfitError("the line is neither an object nor an array of three")
    head, relation, tail = (_name(part) for part in value)
    return head, relation, tail


def _name(part: Any) -> str:
    if isinstance(part, str):
        return part
    # A number may be an id; true, null and what is nested name nothing.
    if isinstance(part, int) and not isinstance(part, bool):
        return str(part)
    raise _UnfitError("a head, relation or tail is neither a text nor a whole number")
