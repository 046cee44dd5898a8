"""Parts of a page that draw themselves in the browser: a script beside the Python that fills it, and its styles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from dans_lab import scripts


def draw(
    script: Path,
    data: dict[str, Any],
    key: str,
    *,
    default: dict[str, Any] | None = None,
    **on_change: Callable[[], None],
) -> None:
    """Let the browser draw `data` with `script`, or update in place what it drew under this `key`.

    `default` has the values that the browser keeps, `on_change` is as in Streamlit: `on_NAME_change` for each value.
    """
    # In a list, since Streamlit looks for tables in a dictionary, by way of pandas: the first screen would wait for it.
    _of(script)(key=key, data=[data], default=default, width="stretch", height="content", **on_change)


def told(key: str, name: str) -> Any:
    """What the browser has told under this name, or None. Anyone may have sent it, so check it for its form."""
    return (st.session_state.get(key) or {}).get(name)


@st.cache_resource(show_spinner=False)
def _of(script: Path) -> ComponentRenderer:
    """The component that `script` draws, with its styles; registered once a server."""
    return st.components.v2.component(
        f"dans_{script.stem}", css=scripts.style(script) or None, js=scripts.module(script)
    )
