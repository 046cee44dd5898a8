"""Runs that go wrong on purpose: their list in the form of a new run, and what to watch beside such a run."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dans_app.shared import settings
from dans_core.config import Config
from dans_data.errors import InputError
from dans_lab import failing
from dans_lab.failing import FAILING

_MENU = "failing_preset"

PRESET = "preset"
"""In the address: a preset to fill the form with."""


def choice(start: Callable[[], None]) -> None:
    """The presets under a heading of their own; choosing one sets the form to it and starts the run."""
    st.menu_button(
        "Runs that go wrong",
        list(FAILING),
        format_func=lambda name: FAILING[name].title,
        key=_MENU,
        icon=":material/troubleshoot:",
        width="stretch",
        on_click=_begin,
        args=(start,),
        help="Each starts a short run on UMLS that goes wrong on purpose, and says what to watch.",
    )


def _begin(start: Callable[[], None]) -> None:
    settings.use_run(FAILING[st.session_state[_MENU]].config, failing.DATASET)
    start()


def card(config: Config, dataset: str) -> None:
    """What a run shows that was made to go wrong; nothing for any other."""
    name = failing.of(config, dataset)
    if name is None:
        return
    preset = FAILING[name]
    where = "" if preset.screen == "Train" else f" on the screen {preset.screen}"
    with st.container(border=True):
        st.markdown(
            f":material/troubleshoot: **{preset.title}**, on purpose. {preset.about}  \n"
            f"**Watch**{where} {preset.watch} {failing.how_often(name)}",
            help=failing.how_sure(name),
        )


def use_link() -> None:
    """Fill the form with the preset that the address names, whose settings take the place of its name."""
    asked = st.query_params.get(PRESET)
    if asked is None:
        return
    del st.query_params[PRESET]
    if asked not in FAILING:
        raise InputError(f"preset = {asked[:40]!r}: must be one of {', '.join(FAILING)}")
    st.query_params.update(settings.use_run(FAILING[asked].config, failing.DATASET))
    # Widgets are filled from the address with which a run of the script begins.
    st.rerun()
