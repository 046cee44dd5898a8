"""The table of a study as a component: cells that say themselves in words when pointed at, and can be pressed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dans_app.shared import components

_SCRIPT = Path(__file__).parent / "study_table.js"


def show(data: dict[str, Any], key: str, on_pick: Callable[[], None]) -> None:
    """Draw the table of `study_words.table_data`; a pressed cell is then `picked`."""
    components.draw(_SCRIPT, data, key, on_picked_change=on_pick)


def picked(key: str) -> tuple[int, int] | None:
    """The places of row and column of the cell that was just pressed; it comes from a browser, so it is checked."""
    text = components.told(key, "picked")
    parts = text.split(".") if isinstance(text, str) and len(text) < 12 else []
    if len(parts) == 2 and all(part.isascii() and part.isdecimal() for part in parts):
        return int(parts[0]), int(parts[1])
    return None
