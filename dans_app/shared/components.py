"""Parts of a page that draw themselves in the browser: a script beside the Python that fills it, and its styles."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

_IMPORT = re.compile(r'^import \{[^}]*\} from "(\.[^"]+)"\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


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


def style(script: Path) -> str:
    """The style sheet that lies beside a script."""
    return script.with_suffix(".css").read_text(encoding="utf-8")


def module(script: Path) -> str:
    """A script and all that it imports as one module, since a component of a page has no others to import.

    A name may stand at the top of one of the files only.
    """
    return "".join(
        _EXPORT.sub("", _IMPORT.sub("", path.read_text(encoding="utf-8"))) for path in _order(script)
    )


@st.cache_resource(show_spinner=False)
def _of(script: Path) -> ComponentRenderer:
    """The component that `script` draws, with the style sheet of the same name if any; registered once a server."""
    css = style(script) if script.with_suffix(".css").exists() else None
    return st.components.v2.component(f"dans_{script.stem}", css=css, js=module(script))


def _order(script: Path) -> list[Path]:
    """`script` behind the files that it imports, each once."""
    order: dict[Path, None] = {}
    for found in _IMPORT.finditer(script.read_text(encoding="utf-8")):
        order |= dict.fromkeys(_order((script.parent / found[1]).resolve()))
    return [*order, script]
