"""The runs of one cell of a study: their results, ways to look at each, and how to repeat one that is not there."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dans_app.shared import shell
from dans_app.shared.address import Address
from dans_app.shared.words import markdown_text
from dans_app.studies import choice, data, words
from dans_app.studies.choice import Spot
from dans_app.studies.data import Loaded, StudyView
from dans_lab.export import run_export
from dans_lab.names import METRICS
from dans_lab.study import tables

SCREENS = {
    "Train": (":material/show_chart:", "Its curves and settings."),
    "Map": (":material/scatter_plot:", "Real entities and generated negatives in one picture."),
    "Triplet": (":material/conversion_path:", "The negatives of one triplet."),
    "Predict": (":material/lightbulb:", "What it answers where a place of a triplet is open."),
    "Diagnostics": (":material/monitor_heart:", "How hard, diverse and false its negatives are."),
}


def rows(loaded: Loaded, view: StudyView, spot: Spot) -> pd.DataFrame:
    """The runs of the cell, one a row, those too that diverged or are not there yet."""
    out = []
    ids = view.runs_of(spot.row, spot.column)
    own = {run: loaded.records[run] for run in ids if run in loaded.records}
    seen = tables.over_seen(own, loaded.seen) if loaded.seen else {}
    for seed, run in zip(view.plan.seeds, ids, strict=True):
        record = loaded.records.get(run)
        state = (
            "not there yet" if record is None else "finished" if record.state == "finished" else "diverged"
        )
        out.append(
            {
                "Seed": seed,
                "State": state,
                **{f"{METRICS[name]}, test": record.test.get(name) if record else None for name in METRICS},
                **({"MRR, seen": seen[run].test.get("mrr") if run in seen else None} if loaded.seen else {}),
                "MRR, valid": record.valid.get("mrr") if record else None,
                "Best epoch": record.best_epoch if record else None,
                "Seconds": record.seconds if record else None,
                "Run": run,
            }
        )
    return pd.DataFrame(out).astype({"Best epoch": "Int64"})


def show(place: Address, loaded: Loaded, view: StudyView, spot: Spot) -> None:
    """The runs of a cell, and what can be done with the one of the chosen seed."""
    table = rows(loaded, view, spot)
    number = st.column_config.NumberColumn
    st.dataframe(
        table,
        hide_index=True,
        height="content" if len(table) <= 10 else 400,
        placeholder="–",
        column_config={
            name: number(format="%.3f") for name in table.columns if name.startswith(tuple(METRICS.values()))
        }
        | {
            "Seconds": number(format="%.0f", help="Training, with rankings and checks."),
            "Seed": number(pinned=True),
        },
        alt=f"The runs of {words.place(view, spot.row, spot.column)}, one for each seed, with their metrics.",
    )
    seeds = {str(seed): f"Seed {seed}" for seed in view.plan.seeds}
    if len(seeds) > 1:
        place.segmented("seed", "Open", seeds, str(spot.seed), "A run of this cell, to look at more closely.")
    run_id = view.runs_of(spot.row, spot.column)[view.plan.seeds.index(spot.seed)]
    record = loaded.records.get(run_id)
    if record is not None and record.state == "failed":
        st.warning(
            f"This run diverged: {markdown_text(record.reason or 'no reason was kept', 300)}.",
            icon=":material/error:",
        )
    if data.run_of(run_id) is None:
        _absent(loaded, view, spot, run_id)
    else:
        _links(view, spot, run_id)


def _links(view: StudyView, spot: Spot, run_id: str) -> None:
    with st.container(horizontal=True, gap="small"):
        for title, (icon, about) in SCREENS.items():
            if st.button(title, icon=icon, key=f"studies_to_{title}", help=about):
                shell.leave(title, run=run_id)
        if spot.row != view.reference:
            at = view.plan.seeds.index(spot.seed)
            other = view.runs_of(view.reference, spot.column)[at]
            name = markdown_text(view.row_name(view.reference))
            if st.button(
                f"Compare with {name}",
                icon=":material/compare_arrows:",
                key="studies_to_Compare",
                disabled=data.run_of(other) is None,
                help=f"This run beside that of {name} with the same seed.",
            ):
                shell.leave("Compare", runs=f"{other},{run_id}")


def _absent(loaded: Loaded, view: StudyView, spot: Spot, run_id: str) -> None:
    if loaded.shipped:
        what = "The runs of this study are not shipped with the app, only what was measured of them."
    elif run_id in loaded.records:
        what = "The folder of this run is no longer among the runs; what was measured of it is kept."
    else:
        what = "This run has not been trained yet."
    st.info(
        f"{what} This trains it, with the same numbers on the same machine and versions:",
        icon=":material/folder_off:",
    )
    config = view.cell(spot.row, spot.column).config.with_values(seed=spot.seed)
    st.code(run_export.command_of(config, loaded.source), language="bash", wrap_lines=True)
    st.caption("And this the whole study; runs that have a record are not repeated:")
    st.code(words.command(loaded), language="bash", wrap_lines=True)


def choose_row(place: Address, view: StudyView, spot: Spot) -> None:
    """The list of rows, for those who do not press the table."""
    tokens = {choice.token((row,)): row for row in view.rows}
    st.session_state["studies_row"] = choice.token((spot.row,))
    st.selectbox(
        "Row",
        list(tokens),
        format_func=lambda token: view.row_name(tokens[token]),
        key="studies_row",
        on_change=lambda: choice.go(place, view, tokens[st.session_state["studies_row"]], spot.column),
        width=260,
    )
