"""The test MRR of a study apart by what train shows of a triplet, each stratum beside the popularity floor."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dans_app.shared import exports
from dans_app.shared.words import markdown_text
from dans_app.studies.data import Column, Loaded, StudyView
from dans_lab import halves
from dans_lab.study import tables
from dans_lab.study.words import strata


def frame(loaded: Loaded, view: StudyView, column: Column) -> pd.DataFrame:
    """A line for the floor and for each row of a column, with the mean test MRR in each stratum; empty without any."""
    if loaded.meta is None or len(apart := strata(loaded.meta.halves)) < 2:
        return pd.DataFrame()
    floor = {title: loaded.meta.floor_halves.get(str(number)) for number, title in apart.items()}
    out = [{"Row": "Popularity floor", **floor}]
    for row in view.rows:
        found = tables.by_halves(view.entries[row, column], loaded.meta.halves)
        means = {title: found[number].mean if number in found else None for number, title in apart.items()}
        out.append({"Row": view.row_title(row), **means})
    return pd.DataFrame(out)


def show(loaded: Loaded, view: StudyView, column: Column) -> None:
    """The table of a column, behind a line that opens it; nothing where the study does not know its strata."""
    if loaded.meta is None or len(strata(loaded.meta.halves)) < 2:
        return
    with st.expander(
        "Test MRR by what train shows", icon=":material/join_inner:", key="studies_strata", on_change="rerun"
    ) as opened:
        if not opened.open:
            return
        table = frame(loaded, view, column)
        name = view.column_name(column)
        st.caption(f"{halves.ABOUT}{f' Of {markdown_text(name)}.' if name else ''}")
        st.dataframe(
            table,
            hide_index=True,
            height="content" if len(table) <= 16 else 560,
            placeholder="–",
            column_config={
                title: st.column_config.NumberColumn(format="%.3f")
                for title in table.columns
                if title != "Row"
            },
            alt="Mean test MRR of the floor and of each row, by how many halves of a triplet train shows.",
        )
        exports.table(table, f"{loaded.plan.name} {name} by halves")
