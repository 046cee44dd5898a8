"""Runs that go wrong on purpose: their list in the form of a new run, and what to watch beside such a run."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dans_app.shared import settings, shell
from dans_app.shared.run_history import RunHistory
from dans_data.errors import InputError
from dans_lab import failing
from dans_lab.failing import FAILING, Failing
from dans_lab.runs.run import Run

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


def card(run: Run, history: RunHistory, finished: bool) -> None:
    """What a run shows that was made to go wrong; nothing for any other."""
    name = failing.of(run.config, run.meta.dataset)
    if name is None:
        return
    preset = FAILING[name]
    elsewhere = preset.screen != "Train"
    with st.container(border=True, gap="small"):
        st.markdown(
            f":material/troubleshoot: **{preset.title}**, on purpose. **Watch**"
            f"{f' on {preset.screen}' if elsewhere else ''} {preset.watch}"
            f"{_here(preset, run) if finished and history.diagnoses else ''}  \n"
            f":small[{preset.about} {failing.how_often(name)}]",
            help=failing.how_sure(name),
        )
        if elsewhere and st.button(
            f"Watch on {preset.screen}", icon=":material/arrow_forward:", type="tertiary"
        ):
            shell.leave(preset.screen, run=run.id)


def _here(preset: Failing, run: Run) -> str:
    """Whether a run kept the promise, and by what figure."""
    figure = preset.read(run.events())
    kept = "as promised" if preset.keeps(figure) else "**not as promised**"
    return f" It ended {kept}, at {preset.number(figure)}."


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
