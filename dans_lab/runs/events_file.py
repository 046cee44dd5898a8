"""The lines of `events.jsonl`, read and checked."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from dans_core.events import Event, readers
from dans_data.complaints import first_problem
from dans_data.errors import InputError
from dans_lab import health  # noqa: F401 - its warnings are events, too


def read_events(path: Path, data: bytes, offset: int) -> list[Event]:
    """The events in whole lines; `offset` is where they begin in the file.

    Kinds of later versions are passed over. InputError says at which byte is something else.
    """
    known = readers()
    found = []
    for line in data.splitlines(keepends=True):
        try:
            reader = known.get(json.loads(line, parse_constant=_not_json)["event"])
            if reader is not None:
                found.append(reader.validate_json(line, strict=True))
        except ValidationError as error:
            raise InputError(f"{path}, byte {offset}: {first_problem(error)}") from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InputError(f"{path}, byte {offset}: not an event") from None
        offset += len(line)
    return found


def _not_json(constant: str) -> None:
    """Python would read NaN and Infinity, which no event holds."""
    raise ValueError(constant)
