"""What the Runs screen offers for the runs that are selected: open, continue, repeat, name, compare, delete."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

import dans_data
from dans_app.runs import words
from dans_app.server import jobs, keeping, visitors
from dans_app.shared import exports, run_state, settings, shell
from dans_app.shared.theme import LOOKS
from dans_app.shared.words import markdown_text
from dans_data.errors import InputError
from dans_lab.export import run_export
from dans_lab.runs import folder
from dans_lab.runs.folder import ListedRun

SELECTED = "runs_selected"
"""Session key: ids of the runs that are selected in the table."""

PROBLEM = "runs_problem"
"""Session key: a refusal that is still to be said."""

TICK = 2.0
"""Seconds between two looks at a run that is under way."""

CAN_GO_ON = ("stopped", "interrupted", "paused")


def attempt(action: Callable[..., object], *args: Any) -> None:
    """For callbacks: do it, and keep a refusal for the page, where it is said once."""
    try:
        action(*args)
    except InputError as error:
        st.session_state[PROBLEM] = str(error)


def show(entries: Sequence[ListedRun]) -> None:
    """What can be done with these runs; nothing for none."""
    if not entries:
        return
    with st.container(border=True):
        _one(entries[0]) if len(entries) == 1 else _several(entries)


def _one(entry: ListedRun) -> None:
    """Everything about a single run."""
    run, status = entry.run, entry.status
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.header(markdown_text(entry.about.name or entry.id), anchor=False, width="content")
        if entry.recorded:
            st.badge("Recorded run", icon=":material/inventory_2:", color="gray")

    @st.fragment(run_every=TICK if status.live else None)
    def progress() -> None:
        with shell.told("This run cannot be read"):
            place = jobs.pool().place(run)
            st.markdown(str(place) if place else run_state.sentence(run.status, run.config))

    progress()
    made = words.created(run)
    exact = words.exactly(made, words.zone_of(st.context.timezone))
    st.caption(f"{markdown_text(entry.id)} · made {words.ago(made)}, {exact}")
    _buttons(entry)
    left, right = st.columns(2, gap="large")
    with left:
        _name_and_note(entry)
    with right:
        st.markdown("**The same run in a terminal**")
        st.code(run_export.command(run), language="bash", wrap_lines=True)
        st.download_button(
            "Download its settings",
            lambda: run_export.config_json(run),
            file_name=f"{entry.id}.json",
            mime="application/json",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            help="All settings, the data set and the versions used, as JSON.",
        )
        exports.model(run, "runs")


def _buttons(entry: ListedRun) -> None:
    """Where to look at a run, and what to do with it."""
    run, status = entry.run, entry.status
    with st.container(horizontal=True, gap="small"):
        if st.button(
            "Open", icon=":material/show_chart:", type="primary", help="Its curves, on the Train page."
        ):
            shell.leave("Train", run=entry.id)
        for title, icon in (
            ("Map", ":material/scatter_plot:"),
            ("Triplet", ":material/conversion_path:"),
            ("Diagnostics", ":material/monitor_heart:"),
        ):
            if st.button(title, icon=icon):
                shell.leave(title, run=entry.id)
        mine = visitors.visitor().owns(run.meta.owner)
        if status.live and mine:
            st.button("Stop", icon=":material/stop:", on_click=attempt, args=(jobs.ask, run, None, True))
        elif mine and status.state in CAN_GO_ON and not entry.recorded:
            st.button(
                "Continue",
                icon=":material/play_arrow:",
                on_click=attempt,
                args=(jobs.pool().resume, run),
                help="Goes on from its last checkpoint.",
            )
        known = [info.name for info in dans_data.available() if info.here and not info.problem]
        named = run.meta.source in known
        if st.button(
            "Repeat with changes",
            icon=":material/tune:",
            disabled=not named,
            help="Opens the form of a new run with the settings of this one."
            if named
            else "Its data came from a file or folder, and the form knows data sets by name. Use the command below.",
        ):
            shell.leave("Train", run=entry.id, **settings.use_run(run.config, run.meta.source))
        _delete_button([entry])


def _delete_button(entries: Sequence[ListedRun]) -> None:
    recorded = any(entry.recorded for entry in entries)
    others = not all(visitors.visitor().owns(entry.run.meta.owner) for entry in entries)
    st.button(
        "Delete",
        icon=":material/delete:",
        disabled=recorded or others,
        on_click=attempt,
        args=(_delete, [entry.id for entry in entries]),
        help="A recorded run came with the app and cannot be deleted."
        if recorded
        else "Deleting a run is for the one who started it, and for teachers."
        if others
        else "Moves to the trash. It can be undone.",
    )


def _name_and_note(entry: ListedRun) -> None:
    """The form in which a person says what the run is."""
    if entry.recorded:
        st.caption("A recorded run came with the app: it can be read, but not renamed or deleted.")
        return
    if not visitors.visitor().owns(entry.run.meta.owner):
        st.caption("Its name and note are for the one who started it, and for teachers.")
        return
    try:
        folder.read_about(entry.run)
    except InputError as error:
        st.warning(f"{markdown_text(str(error), 300)}. Saving writes it anew.", icon=":material/warning:")
    with st.form(f"runs_about_{entry.id}", border=False):
        st.text_input(
            "Name",
            entry.about.name,
            key=_form_key("name", entry),
            max_chars=folder.NAME_LENGTH,
            placeholder=entry.id,
            help="Stands in every list of runs. It changes neither the id nor the folder.",
        )
        st.text_area(
            "Note",
            entry.about.note,
            key=_form_key("note", entry),
            max_chars=folder.NOTE_LENGTH,
            placeholder="What you tried, and what came of it",
            height=90,
        )
        st.form_submit_button("Save", icon=":material/save:", on_click=attempt, args=(_describe, entry))


def _several(entries: Sequence[ListedRun]) -> None:
    """What can be done with more than one run."""
    names = ", ".join(words.called(entry.id, entry.about.name) for entry in entries[:6])
    more = f" and {len(entries) - 6} more" if len(entries) > 6 else ""
    st.markdown(f"**{len(entries)} runs selected:** {names}{more}")
    with st.container(horizontal=True, gap="small"):
        if st.button(
            "Compare",
            icon=":material/compare_arrows:",
            type="primary",
            disabled=len(entries) > len(LOOKS),
            help=f"What differs, and who ranks better; at most {len(LOOKS)} runs.",
        ):
            shell.leave("Compare", runs=",".join(entry.id for entry in entries))
        _delete_button(entries)


def _delete(run_ids: Sequence[str]) -> None:
    """To the trash, and out of the selection."""
    keeping.delete(run_ids)
    st.session_state[SELECTED] = []
    if st.session_state.get(shell.PICKED) in run_ids:
        # Else the other screens would say that they cannot find it.
        del st.session_state[shell.PICKED]


def _describe(entry: ListedRun) -> None:
    """Keep what the form says of this run."""
    keeping.describe(
        entry.run, st.session_state[_form_key("name", entry)], st.session_state[_form_key("note", entry)]
    )


def _form_key(part: str, entry: ListedRun) -> str:
    """Another key once another text is kept, so that the form never shows an older one."""
    return f"runs_{part}_{entry.id}_{zlib.crc32(repr(entry.about).encode()):x}"
