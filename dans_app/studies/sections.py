"""Parts of the Studies screen that draw curves: a metric by a setting, learning, its cost, and how it came to rest."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from dans_app.shared import exports
from dans_app.shared.address import Address
from dans_app.shared.words import markdown_text
from dans_app.studies import choice, data, learning, lines, words
from dans_app.studies.choice import Spot, TableOptions
from dans_app.studies.data import Loaded, StudyView
from dans_lab.names import METRICS
from dans_lab.study.convergence import FIGURES
from dans_lab.study.plan import Label

MOST_COLUMNS = 4
"""More columns do not fit side by side: then only the chosen one is drawn."""

MOST_ROWS = 24
"""Rows of a table whose curves are drawn one by one."""

Drawn = list[tuple[str, go.Figure, str]]
"""Charts on the screen with title and words, for the download."""


def chart(drawn: Drawn, title: str, figure: go.Figure, alt: str, key: str) -> None:
    """A chart that can be zoomed and saved, and is in the download of all."""
    drawn.append((title, figure, alt))
    st.plotly_chart(figure, key=key, alt=alt, config=exports.config(title))


def learned(place: Address, view: StudyView, spot: Spot, options: TableOptions, drawn: Drawn) -> None:
    """Curves of the ranking and quality against time, of the chosen column."""
    st.header("How they learn, and what it costs", anchor=False)
    rows, column = list(view.rows), spot.column
    scales = learning.scales(view, column, rows)
    name = choice.asked(place, "by", list(scales))
    if len(scales) > 1:
        titles = {each: scale.title for each, scale in scales.items()}
        place.segmented("by", "Learning curves by", titles, name, learning.BY_HELP)
    scale = scales[name]
    left, right = st.columns(2)
    with left:
        title = f"Valid MRR by {scale.words}"
        st.markdown(
            f"**{title}**",
            help="Thick lines are medians over the seeds. The reference and the best are coloured, with each seed as a "
            "thin line, and the axis is theirs.",
        )
        chart(
            drawn, title, learning.learning(view, column, rows, scale),
            learning.learning_alt(view, column, rows, scale), "studies_learning",
        )  # fmt: skip
    with right:
        how = (
            "What each may spend differs, as the table says"
            if view.spent_differs
            else "All had the same number of epochs, which some make faster than others"
        )
        st.markdown(
            "**Quality against time**",
            help=f"{how}: up and left is best. The time is of a whole run, with rankings and checks. Named are the "
            "reference and those that nothing faster beats; point at a dot for its name. Rows far off are left out.",
        )
        chart(
            drawn, "Quality against time", learning.cost(view, column, rows, options.metric, options.split),
            learning.cost_alt(view, column, rows, options.metric, options.split), "studies_cost",
        )  # fmt: skip


# --- a setting, and stability ----------------------------------------------------------------------------------


def settings(loaded: Loaded, options: TableOptions, drawn: Drawn) -> None:
    """How the metric follows each setting, all parts of the study on one axis."""
    st.header(
        f"{METRICS[options.metric]} by setting",
        anchor=False,
        help="Line: mean over seeds; band: one standard deviation; dots: runs. The ring is the reference, the grey "
        "band across its own standard deviation. All charts have the same axis.",
    )
    views = [
        data.view(loaded, number, options.metric, seen=options.seen)
        for number, part in enumerate(loaded.plan.parts)
        if part.figure == "line"
    ]
    ends = lines.heights(views, options.metric, options.split)
    for number in range(0, len(views), 2):
        for holder, view in zip(st.columns(min(2, len(views))), views[number : number + 2], strict=False):
            with holder:
                if len(views) > 1:
                    st.markdown(f"**{markdown_text(view.part.title)}**")
                chart(
                    drawn, view.part.title, lines.line(view, options.metric, options.split, ends),
                    lines.line_alt(view, options.metric, options.split),
                    f"studies_line_{loaded.plan.parts.index(view.part)}",
                )  # fmt: skip


def stability(place: Address, view: StudyView, spot: Spot, drawn: Drawn) -> None:
    """Every run over epochs, cell by cell on one axis, and figures of how it came to rest."""
    st.header("Over the epochs", anchor=False, help=lines.CURVES_HELP)
    known = {
        name: title
        for name, (title, _) in lines.CURVES.items()
        if lines.has_gan(view) or name in ("mrr", "base")
    }
    kind = choice.asked(place, "curve", list(known))
    place.segmented("curve", "Curve", known, kind, "What is drawn over the epochs.")
    ends, last = lines.ends_of(view, kind)
    cells = [(row, spot.column) for row in view.rows][:MOST_ROWS]
    for begin in range(0, len(cells), 4):
        for holder, (row, column) in zip(
            st.columns(min(4, len(cells))), cells[begin : begin + 4], strict=False
        ):
            with holder:
                name = view.row_name(row)
                mark = " (reference)" if row == view.reference else ""
                st.markdown(f"**{markdown_text(name)}**{mark}")
                chart(
                    drawn, f"{known[kind]}, {name}", lines.curves(view, row, column, kind, ends, last),
                    lines.curves_alt(view, row, column, kind), f"studies_curves_{view.rows.index(row)}",
                )  # fmt: skip
    st.header("Did it come to rest?", anchor=False, help="A dot is a run; the bar is the median of its row.")
    rest(view, spot, list(view.rows), drawn)


def calm(view: StudyView, spot: Spot, options: TableOptions, drawn: Drawn) -> None:
    """The figures of convergence, for a study that does not ask for them first."""
    with st.expander(
        "Did training come to rest?", icon=":material/waves:", key="studies_calm", on_change="rerun"
    ) as opened:
        if opened.open:
            rows = words.ordered(view, options.order == "value", options.metric, options.split, spot.column)
            rest(view, spot, rows, drawn)


def rest(view: StudyView, spot: Spot, rows: Sequence[Label], drawn: Drawn) -> None:
    """The figures of convergence of every run of the chosen column."""
    names = lines.figures_of(view, spot.column)
    for begin in range(0, len(names), 3):
        for holder, name in zip(st.columns(3), names[begin : begin + 3], strict=False):
            with holder:
                title, about = FIGURES[name]
                st.markdown(f"**{title}**", help=about)
                chart(
                    drawn, title, lines.dots(view, spot.column, rows, name),
                    lines.dots_alt(view, spot.column, rows, name), f"studies_figure_{name}",
                )  # fmt: skip
