"""Scripts that draw in a browser, each put together with what it imports, for screens and notebooks."""

from __future__ import annotations

import re
from pathlib import Path

_IMPORT = re.compile(r'^import \{[^}]*\} from "(\.[^"]+)"\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


def module(script: Path) -> str:
    """A script and all that it imports as one module, for places that have no others to import.

    A name may stand at the top of one of the files only.
    """
    return "".join(
        _EXPORT.sub("", _IMPORT.sub("", path.read_text(encoding="utf-8"))) for path in order(script)
    )


def style(script: Path) -> str:
    """The style sheets of the same names beside a script and all that it imports; "" where there are none."""
    sheets = (path.with_suffix(".css") for path in order(script))
    return "".join(sheet.read_text(encoding="utf-8") for sheet in sheets if sheet.exists())


def order(script: Path) -> list[Path]:
    """`script` behind the files that it imports, each once."""
    found: dict[Path, None] = {}
    for each in _IMPORT.finditer(script.read_text(encoding="utf-8")):
        found |= dict.fromkeys(order((script.parent / each[1]).resolve()))
    return [*found, script]
