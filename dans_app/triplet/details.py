"""The two closed parts of the screen Triplet: the arithmetic of one score, and how the negatives moved over training.

Neither computes anything before it is opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from dans_app.server import inspecting, loading
from dans_app.shared import exports, formulas, shell
from dans_app.shared.url_values import Triplet
from dans_app.shared.words import markdown_text
from dans_app.triplet import arithmetic, paths, table
from dans_app.triplet.asked import Asked, remember
from dans_app.triplet.table import Lane
from dans_data.words import count
from dans_lab.map.relation_view import asked_in_train

if TYPE_CHECKING:
    from dans_lab.inspection import Row

_OPEN, _SEEN = "triplet_arithmetic", "triplet_arithmetic_seen"
"""Session keys: whether the arithmetic is open, and the negative it was last asked for."""

OTHERS = {"tail": "Other tails", "head": "Other heads"}
"""How the two sides are headed where both are shown."""


# --- one score, term by term -----------------------------------------------------------------------------------


def show_arithmetic(asked: Asked, lanes: Sequence[Lane]) -> None:
    """The negative that the address asks for, else the hardest one. One that is newly asked for opens it."""
    known = table.tokens(lanes)
    chosen = asked.own.raw("negative")
    if chosen is not None and chosen not in known:
        asked.place.complain(
            f"There is no negative “{markdown_text(chosen, 40)}” among those drawn here; the hardest is shown instead."
        )
        chosen = None
    asked.own.keep("negative", chosen)
    if chosen not in (None, st.session_state.get(_SEEN)):
        st.session_state[_OPEN] = True
    st.session_state[_SEEN] = chosen
    with st.expander(
        "The arithmetic of one score, term by term", icon=":material/calculate:", key=_OPEN, on_change="rerun"
    ) as opened:
        if opened.open:
            lane, row = known[chosen] if chosen else table.hardest(lanes)
            _choose_negative(asked, known, table.token(lane, row))
            _one_score(asked, lane, row)


def _choose_negative(asked: Asked, known: Mapping[str, tuple[Lane, Row]], chosen: str) -> None:
    several_runs = len({lane.shown.run for lane, _ in known.values()}) > 1
    st.session_state["triplet_negative"] = chosen
    st.selectbox(
        "Negative",
        list(known),
        format_func=lambda name: table.label(*known[name], several_runs, asked.side == "both"),
        key="triplet_negative",
        on_change=lambda: asked.own.choose("negative", st.session_state["triplet_negative"]),
        help="Source and draw, name, and score minus the positive’s; ✓ marks a known fact. A row of the table above "
        "chooses it too.",
    )


def _one_score(asked: Asked, lane: Lane, row: Row) -> None:
    kg, run = asked.kg, asked.run_of(lane.shown.run)
    query, decoder = asked.query(lane.shown.side), run.config.decoder
    sums = inspecting.explain(run, kg, asked.weights_of(run), query, asked.draws, asked.draw - 1, row)
    head, tail = (markdown_text(kg.entities[number], 60) for number in (query[0], query[2]))
    relation = markdown_text(kg.relation_name(query[1]), 60)
    name = f"{lane.title} {row.draw + 1}"
    turned = " (a fake head is a fake tail of the reciprocal)" if lane.shown.side == "head" else ""
    st.latex(formulas.SCORES[decoder])
    by = f"In run {markdown_text(lane.shown.label, 60)}, " if lane.shown.run else ""
    st.markdown(
        f"{by}**h** is {head}, **r** is {relation}{turned}, and **t** is {tail} for the positive and "
        f"{table.name(lane, row)} for the negative. {formulas.READINGS[decoder]}"
    )
    made = (
        f"the negative’s t is the vector that {lane.source} made" if lane.fakes else "so is the negative’s t"
    )
    st.caption(
        f"With R-GCN, h and t are the encoder’s outputs, which mix in their neighbours, not free embeddings; {made}."
    )
    exports.chart(
        arithmetic.figure(sums, table.look(lane.source), name),
        key="triplet_terms",
        alt=arithmetic.alt(sums, name),
        name=f"arithmetic of {name} {asked.run.id}",
    )
    st.dataframe(
        arithmetic.table(sums),
        hide_index=True,
        height="content",
        column_config=arithmetic.columns(),
        alt=f"The largest terms of the scores of the positive and of {name}, and the scores they add up to.",
    )
    exports.table(arithmetic.table(sums, None), f"all terms of {name} {asked.run.id}")


# --- how the negatives moved -----------------------------------------------------------------------------------


def show_paths(asked: Asked) -> None:
    """What the snapshots of the chosen run keep of each query on the screen."""
    with st.expander(
        "How the negatives of this query moved, epoch by epoch",
        icon=":material/timeline:",
        key="triplet_paths",
        on_change="rerun",
    ) as opened:
        if not opened.open:
            return
        epochs = [epoch for epoch, _ in asked.run.snapshots()]
        if not epochs:
            st.caption("This run has no snapshots, so there is nothing to follow.")
            return
        for side in asked.sides:
            if asked.side == "both":
                st.header(OTHERS[side], anchor=False)
            with shell.told("These snapshots cannot be read"):
                _one_path(asked, side, epochs)


def _one_path(asked: Asked, side: str, epochs: list[int]) -> None:
    run, kg = asked.run, asked.kg
    head, relation, _ = asked.query(side)
    last = loading.frame(run, epochs[-1], kg)
    place = paths.place_of(last, head, relation)
    if place is None:
        _not_kept(asked, side, len(last.queries), paths.kept(last, head, relation))
        return
    read = paths.chosen(epochs)
    with st.spinner(f"Reading {count(len(read), 'snapshot')} …"):
        found = paths.path(run, kg, head, relation, read)
    answer, other = (markdown_text(kg.entities[int(ids[place])], 60) for ids in (last.answers, last.random))
    who = "each pathway" if len(last.pathways) == 2 else "".join(last.pathways)
    fakes = f", and one fake of {who}, made from the same noise every time" if last.has_fakes else ""
    bars = (
        " The bars name the entity nearest to each fake, with ✓ where it is a known fact."
        if last.has_fakes
        else ""
    )
    some = "" if len(read) == len(epochs) else f" Shown are {len(read):,} of {len(epochs):,} snapshots."
    st.markdown(
        f"Every snapshot keeps one true {side} of this query ({answer}), one random {side} ({other}){fakes}: what "
        f"moves is what was learned.{bars}{some}"
    )
    exports.chart(
        paths.figure(found, kg, run.config.warmup_epochs if last.has_fakes else 0),
        key=f"triplet_path_{side}",
        alt=paths.alt(found, kg),
        name=f"scores of negative {side}s over epochs {run.id}",
    )
    rows = paths.table(found, kg)
    # What the entities are does not change from row to row, and their scores are in the chart.
    made = rows[rows["source"].isin(["G_E", "G_R"])]
    st.dataframe(
        made if last.has_fakes else rows.drop(columns=["D_adv", "D_aux"]),
        hide_index=True,
        height="content" if len(rows) < 12 else 320,
        placeholder="–",
        column_config=paths.columns(),
        alt="What each snapshot keeps of this query, one source of one snapshot a row, newest first.",
    )
    exports.table(rows, f"negative {side}s over epochs {run.id}")


def _not_kept(asked: Asked, side: str, kept: int, other: tuple[int, int, int] | None) -> None:
    """One sentence, and a way to a query that the snapshots do keep."""
    st.info(
        f"The snapshots of this run keep some queries only, {kept:,} of {asked_in_train(asked.kg):,}, and this one is "
        "not among them. All else on this page is computed from the run’s weights.",
        icon=":material/timeline:",
    )
    if other is None:
        return
    kg = asked.kg
    found = Triplet(*other, "tail")
    if found.relation >= kg.num_relations:
        found = Triplet(found.tail, found.relation - kg.num_relations, found.head, "head")

    def go() -> None:
        remember(asked.place, kg, found, by_person=True)
        if found.side not in asked.sides:
            asked.place.choose("side", None if found.side == "tail" else found.side)

    names = (kg.entities[found.head], kg.relations[found.relation], kg.entities[found.tail])
    st.button(
        f"Show ({', '.join(markdown_text(name, 40) for name in names)})",
        icon=":material/arrow_forward:",
        on_click=go,
        key=f"triplet_kept_{side}",
    )
