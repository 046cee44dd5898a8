"""Dialogs that stay: a screen that would draw itself anew, which closes a dialog, waits until it is dismissed."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Literal, ParamSpec

import streamlit as st

P = ParamSpec("P")

_OPEN = "dans_dialog"
"""Session key: a dialog is open."""


def staying(
    title: str, width: Literal["small", "medium"] = "small"
) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """As `st.dialog`, for one that can be opened while the screen behind it changes."""

    def of(body: Callable[P, None]) -> Callable[P, None]:
        dialog = st.dialog(title, width=width, on_dismiss=drawn_anew)(body)

        @wraps(body)
        def show(*args: P.args, **kwargs: P.kwargs) -> None:
            st.session_state[_OPEN] = True
            dialog(*args, **kwargs)

        return show

    return of


def drawn_anew() -> None:
    """No dialog is open, as after each full run of the page."""
    st.session_state.pop(_OPEN, None)


def redraw() -> None:
    """A full run of the page that nobody clicked for; nothing where a dialog is open, so ask again at each tick."""
    if not st.session_state.get(_OPEN):
        st.rerun()
