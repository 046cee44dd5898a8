"""A check that failed, and a word that is not known, told in one sentence."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from dans_data.errors import InputError

_SHOWN = 60
"""Characters of a value that a complaint repeats at most."""


def first_problem(error: ValidationError) -> str:
    """The first complaint about a record, with its field."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]


def explain(
    error: ValidationError, fields: Mapping[str, FieldInfo], choices: Callable[[str], Sequence[str]]
) -> str:
    """The first complaint about settings as one sentence; `choices` are the words that a field may be, if any."""
    first = error.errors(include_url=False)[0]
    reason = first.get("ctx", {}).get("error")
    if not first["loc"] or isinstance(reason, InputError):
        return str(reason or first["msg"])
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        hint = did_you_mean(name, fields) or "; `python -m dans_core train --help` has them all"
        return f"there is no setting {name[:40]!r}{hint}"
    words, given = choices(name), repr(first["input"])
    shown = given if len(given) <= _SHOWN else f"{given[:_SHOWN]}…"
    return f"{name} = {shown}: {_expected(fields[name], words)}{did_you_mean(first['input'], words)}"


def did_you_mean(asked: Any, known: Iterable[str]) -> str:
    """What to add to a complaint: the known name that is most like what was asked, or "" where none is."""
    # Case and the kind of dash are no reason to be lost.
    alike = {name.lower().replace("_", "-"): name for name in known}
    close = difflib.get_close_matches(str(asked)[:100].lower().replace("_", "-"), alike, n=1)
    return f"; did you mean {alike[close[0]]!r}?" if close else ""


def _expected(field: FieldInfo, names: Sequence[str]) -> str:
    """What a setting may be, from its annotation and bounds."""
    if names:
        return "must be one of " + ", ".join(names)
    words = {int: "a whole number", float: "a number", bool: "true or false"}
    phrases = {
        "ge": "at least",
        "gt": "above",
        "le": "at most",
        "lt": "below",
        "multiple_of": "a multiple of",
    }
    limits = [
        f"{phrase} {f'{value:,}' if isinstance(value, int) else f'{value:g}'}"
        for bound in field.metadata
        for attribute, phrase in phrases.items()
        if (value := getattr(bound, attribute, None)) is not None
    ]
    kind = next(text for type_, text in words.items() if field.annotation is type_)
    return f"must be {kind}" + "".join(f", {limit}" for limit in limits)
