"""Screen Runs: every run with its result, and what a person does with them."""

from collections.abc import Mapping

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from dans_app.runs import actions, disk_use, listing, table, words
from dans_app.runs import trash as run_trash
from dans_app.runs.actions import PROBLEM, SELECTED
from dans_app.runs.listing import Filter
from dans_app.shared import dialogs, exports, run_state, shell, theme, url_values
from dans_app.shared.address import Address
from dans_app.shared.words import markdown_text, sentence
from dans_data.stamps import stamp
from dans_data.words import count, visible_text
from dans_lab.runs import trash
from dans_lab.runs.folder import ListedRuns
from dans_lab.runs.run import runs_dir

CALM_TICK = 5.0
LIVE_TICK = 2.0
COUNTING_TICK = 0.5
"""Seconds between two looks: while nothing trains, while something does, and while sizes are still to come."""

MOST_ROWS = 12
"""More rows than these scroll."""

TABLE = "runs_table"
"""Session key: the number of the table on the screen, and its rows."""


def show() -> None:
    bar = shell.head("Runs")
    shell.toolbar(bar, None)
    st.caption(
        "Every run in the runs folder, and the recorded ones. Select runs to do something with them.",
        help="On the keyboard: Tab into the table, arrows to a run, Shift and Space to select it.",
    )
    shell.narrow_hint("The other pages are behind the arrows at the top left.")
    if problem := st.session_state.pop(PROBLEM, None):
        st.error(sentence(problem), icon=":material/error:")
    look = listing.look()
    sizes = disk_use.sizes_of(look.entries)
    place = Address("runs", "")
    chosen = filters(place, look)
    if place.message:
        st.warning(place.message, icon=":material/link_off:")
    before = depends_on(look, sizes)
    tick = LIVE_TICK if any(run_state.under_way(entry.status) for entry in look.entries) else CALM_TICK

    @st.fragment(run_every=COUNTING_TICK if None in sizes else tick)
    def ticking() -> None:
        listed(chosen, before)

    ticking()
    known = {entry.id: entry for entry in look.entries}
    actions.show([known[run_id] for run_id in st.session_state.get(SELECTED, []) if run_id in known])
    unreadable(look)
    run_trash.disk_space()


def depends_on(look: ListedRuns, sizes: list[int | None]) -> tuple[object, ...]:
    """What the page outside its ticking part shows: where this changes, all of it is drawn anew."""
    runs = tuple((entry.id, entry.status.state, entry.status.live, entry.about) for entry in look.entries)
    thrown = stamp(runs_dir() / trash.TRASH)
    selected = tuple(st.session_state.get(SELECTED, ()))
    return runs, tuple(look.unreadable.items()), thrown, None in sizes, selected


# --- filters ---------------------------------------------------------------------------------------------------


def filters(place: Address, look: ListedRuns) -> Filter:
    """The choice of the runs to be shown, kept in the address."""
    data = sorted({entry.run.meta.dataset for entry in look.entries}, key=str.casefold)
    text = visible_text(place.raw("text") or "")[: listing.LONGEST_TEXT]
    place.keep("text", text or None)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        put("runs_text", text)
        st.text_input(
            "Find",
            key="runs_text",
            max_chars=listing.LONGEST_TEXT,
            placeholder="Name, note, id or data",
            icon=":material/search:",
            on_change=lambda: place.choose("text", st.session_state["runs_text"] or None),
            width=240,
        )
        return Filter(
            text,
            several(place, "data", "Data set", {name: shell.dataset_name(name) for name in data}),
            several(place, "decoder", "Decoder", theme.DECODERS),
            several(place, "sampler", "Sampler", theme.SAMPLERS),
            several(place, "state", "State", theme.STATES),
            studies(place, look),
        )


def studies(place: Address, look: ListedRuns) -> bool:
    """Whether runs of studies are shown, too; asked only where there are any."""
    shown = place.said(url_values.one_of(place.raw("studies"), "studies", ("hidden", "shown"))) == "shown"
    place.keep("studies", "shown" if shown else None)
    if listing.of_studies(look.entries):
        put("runs_studies", shown)
        st.toggle(
            "Runs of studies",
            key="runs_studies",
            on_change=lambda: place.choose("studies", "shown" if st.session_state["runs_studies"] else None),
            help="A study has many runs. The Studies page shows what they say together, and opens each.",
        )
    return shown


def several(place: Address, name: str, label: str, known: Mapping[str, str]) -> tuple[str, ...]:
    """A filter by some of the values that are known, by what they are called on screen."""
    # A comma separates values in the address.
    tokens = {value.replace(",", "%2C"): value for value in known}
    asked = [part for part in (place.raw(name) or "")[:400].split(",") if part]
    found = [token for token in tokens if token in asked]
    if unknown := [part for part in asked if part not in tokens]:
        what = f"{label.lower()} “{markdown_text(unknown[0], 30)}”"
        place.complain(f"The address asks for {what}, which no run here has; that filter is left out.")
    place.keep(name, ",".join(found) or None)
    key = f"runs_{name}"
    put(key, [tokens[token] for token in found])
    st.multiselect(
        label,
        list(known),
        format_func=lambda value: known.get(value, value),
        key=key,
        placeholder="Any",
        on_change=lambda: place.choose(
            name, ",".join(value.replace(",", "%2C") for value in st.session_state[key]) or None
        ),
        width=170,
    )
    return tuple(tokens[token] for token in found)


def put(key: str, value: object) -> None:
    """The value of a widget, set only where it is another: setting it undoes what is being typed."""
    if st.session_state.get(key) != value:
        st.session_state[key] = value


def clear_filters() -> None:
    place = Address("runs", "")
    for name in ("text", "data", "decoder", "sampler", "state", "studies"):
        place.choose(name, None)


# --- the table -------------------------------------------------------------------------------------------------


def listed(chosen: Filter, before: tuple[object, ...]) -> None:
    """One tick: what was deleted last, the totals and the table. A full rerun where the page has to follow."""
    look = listing.look()
    sizes = disk_use.sizes_of(look.entries)
    if depends_on(look, sizes) != before or PROBLEM in st.session_state:
        dialogs.redraw()
    shown = [pair for pair in zip(look.entries, sizes, strict=True) if chosen.lets_pass(pair[0])]
    run_trash.undo_line()
    hidden = 0 if chosen.studies else listing.of_studies(look.entries)
    st.markdown(words.totals(look.entries, len(shown), sizes, hidden))
    if shown:
        entries, disk = zip(*shown, strict=True)
        rows = table.frame(entries, disk, words.zone_of(st.context.timezone))
        show_table(
            rows, alt=f"Runs with state, settings, result and size: {len(rows)} of {len(look.entries)}."
        )
    else:
        st.session_state[SELECTED] = []
        st.info("No run fits these filters.", icon=":material/filter_alt_off:")
        if st.button("Clear the filters"):
            clear_filters()
            st.rerun()
    if depends_on(look, sizes) != before:
        dialogs.redraw()


def show_table(rows: pd.DataFrame, alt: str) -> None:
    """The runs, to be sorted in the browser and selected; what is selected is kept by id."""
    state = st.session_state
    ids = list(rows["id"])
    selected = [run_id for run_id in state.get(SELECTED, []) if run_id in ids]
    number, before = state.get(TABLE, (0, None))
    waits = False
    # A selection is a list of places, so a table with other rows is another widget. The browser keeps the marks in
    # their places, too, when new values sort the rows otherwise: what a person did is shown in another widget, which
    # forgets the sorting; what training did has to wait.
    if before is None or list(before["id"]) != ids:
        number += 1
    elif selected and not table.same_order(before, rows):
        waits = all(before[name].equals(rows[name]) for name in ("name", "note", "state"))
        rows, number = (before, number) if waits else (rows, number + 1)
    state[TABLE] = (number, rows)
    state[SELECTED] = selected
    key = f"runs_table_{number}"

    def changed() -> None:
        state[SELECTED] = [ids[place] for place in state[key]["selection"]["rows"] if place < len(ids)]

    st.dataframe(
        rows,
        key=key,
        hide_index=True,
        height="content" if len(rows) <= MOST_ROWS else 458,
        column_config=columns(),
        placeholder="–",
        on_select=changed,
        selection_mode="multi-row",
        selection_default={"selection": {"rows": [ids.index(run_id) for run_id in selected]}},
        alt=alt,
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        exports.table(table.for_csv(rows), "runs")
        if waits:
            st.caption("While runs are selected, the table waits with updates that would move its rows.")


def columns() -> dict[str, ColumnConfig]:
    """How each column reads, and what it means."""
    column = st.column_config
    text, number, moment = column.TextColumn, column.NumberColumn, column.DatetimeColumn
    ranked = "Mean reciprocal rank of the right answers in the valid split, filtered; 1 is perfect."
    return {
        "name": text("Name", help="The name you gave the run, else its id.", pinned=True, width=205),
        "state": text("State", help="● a process holds the run now.", width=100),
        "progress": column.ProgressColumn("Progress", help="Epochs done.", format="percent", width=100),
        "data": text("Data", help="The data set it was trained on."),
        "decoder": text("Decoder", help="How a triplet gets its score."),
        "sampler": text("Sampler", help="Where its negatives come from."),
        "seed": number("Seed", format="%d", help="Where its random numbers begin."),
        "epochs": number("Epochs", format="localized", help="How many it is to train."),
        "differs": text(
            "Differs in", help="What was set otherwise than the defaults, or a preset.", width=170
        ),
        "mrr": number("Best MRR", format="%.3f", help=ranked),
        "test_mrr": number(
            "Test MRR",
            format="%.3f",
            help="The same on the test split, by the weights of the best epoch, ranked when the run ended. Choose "
            "between runs by the valid split, or the test one tells nothing any more.",
        ),
        "best_epoch": number("At epoch", format="localized", help="The epoch of the best MRR."),
        "time": number("Time", format="compact", help="Training time: hours, minutes, seconds."),
        "created": moment(
            "Created", format="distance", help="How long ago. The last column but one has the time."
        ),
        "disk": number("Disk", format="bytes", help="The size of its folder."),
        "note": text("Note", help="What you wrote about it.", width=220),
        "created_at": moment("Created at", format="D MMM YYYY, HH:mm", help="In your time zone."),
        "id": text("Id", help="The name of its folder, for the terminal."),
    }


# --- what is not on the list -----------------------------------------------------------------------------------


def unreadable(look: ListedRuns) -> None:
    """Folders that hold no run that can be read, and why."""
    if not look.unreadable:
        return
    with st.expander(
        f"{count(len(look.unreadable), 'folder')} without a readable run", icon=":material/folder_off:"
    ):
        for name, reason in list(look.unreadable.items())[:50]:
            st.markdown(f"**{markdown_text(name)}**: {markdown_text(reason, 300)}")
        if len(look.unreadable) > 50:
            st.caption(f"And {len(look.unreadable) - 50:,} more.")


shell.guard()
show()
