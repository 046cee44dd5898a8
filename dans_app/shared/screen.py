"""What is around every screen: its style, its script, and the presentation."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dans_app.shared import components

PRESENT = "present"
"""The name in the address under which a presentation is asked for, by 1; the key of the session, too."""

_HERE = Path(__file__).parent


def around() -> None:
    """Style and script of every screen, before it is drawn."""
    st.html(_HERE / "screen.css")
    if _presents():
        st.html(_HERE / "present.css")
    with st.container(key="screen_script"):
        components.draw(_HERE / "screen_script.js", {}, key="screen")


def present_button() -> bool:
    """The button that begins and ends the presentation, which the key p presses; whether it was pressed."""
    on = st.session_state.get(PRESENT, False)
    return st.button(
        "End" if on else "Present",
        icon=":material/close_fullscreen:" if on else ":material/present_to_all:",
        key="toolbar_present",
        type="tertiary",
        on_click=_turn,
        help="Back to all that is around the picture. Key: p."
        if on
        else "Larger type, nothing around it. Key: p.",
    )


def _presents() -> bool:
    # The address counts when a session begins: what a browser sends with a tick may be an older one.
    asked = st.query_params.get(PRESENT)
    on = st.session_state.setdefault(PRESENT, asked == "1")
    if on:
        if asked != "1":
            st.query_params[PRESENT] = "1"
    elif asked is not None:
        del st.query_params[PRESENT]
    return bool(on)


def _turn() -> None:
    st.session_state[PRESENT] = not st.session_state.get(PRESENT, False)
