"""The table of a study as a component: cells that say themselves in words when pointed at, and can be pressed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

_HERE = Path(__file__).parent


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    """Registered once a server; the script is read with it."""
    return st.components.v2.component(
        "dans_study_table",
        css=(_HERE / "study_table.css").read_text(encoding="utf-8"),
        js=(_HERE / "study_table.js").read_text(encoding="utf-8"),
    )


def show(data: dict[str, Any], key: str, on_pick: Callable[[], None]) -> None:
    """Draw the table of `study_words.table_data`; a pressed cell is then `picked`."""
    # In a list, since Streamlit looks for tables in a dictionary.
    _component()(key=key, data=[data], on_picked_change=on_pick, width="stretch", height="content")


def picked(key: str) -> tuple[int, int] | None:
    """The places of row and column of the cell that was just pressed; it comes from a browser, so it is checked."""
    text = (st.session_state.get(key) or {}).get("picked")
    parts = text.split(".") if isinstance(text, str) and len(text) < 12 else []
    if len(parts) == 2 and all(part.isascii() and part.isdecimal() for part in parts):
        return int(parts[0]), int(parts[1])
    return None
