"""Parts of the Data screen: how the triplets are spread, the relations, and what one relation holds."""

from __future__ import annotations

import streamlit as st

from dans_app.data import figures, known, tables
from dans_app.data.known import Survey
from dans_app.shared import exports, url_values
from dans_app.shared.address import Address
from dans_app.shared.words import markdown_text
from dans_core.kg import KnowledgeGraph


def degrees(place: Address, found: Survey) -> None:
    """How many entities stand in how many triplets."""
    st.header(
        "How the triplets are spread",
        anchor=False,
        help="Most entities of most graphs stand in few triplets, and a few in very many. Of an entity with few, "
        "little can be learned; one with many is the safe guess. Both axes are logarithmic. Click a name to hide it.",
    )
    way = place.said(url_values.one_of(place.raw("degrees"), "degrees", list(figures.WAYS)))
    place.segmented(
        "degrees",
        "Entities with",
        figures.WAYS,
        way,
        "Exactly: one point for each number of triplets. At least: how many entities have that many or more, which "
        "reads more easily.",
    )
    exports.chart(
        figures.degrees(found.degrees, way),
        key="data_degree_chart",
        alt=figures.alt(found.degrees, way),
        name=f"Degrees of {found.kg.name}",
    )
    heads, tails = (int((of == 0).sum()) for of in (found.degrees.out, found.degrees.into))
    if heads or tails:
        st.caption(
            f"Not drawn, since an axis of this kind has no 0: {heads:,} entities are never a head in train, "
            f"{tails:,} never a tail."
        )


# --- relations -------------------------------------------------------------------------------------------------


def relations(place: Address, found: Survey) -> None:
    """The table of relations, and what a chosen one holds."""
    kg = found.kg
    st.header(
        "Relations",
        anchor=False,
        help="Click a heading to sort, the magnifier to search, and a row to see what the relation holds. Kind, means "
        "and shares are of train.",
    )
    rows, ids = tables.relations(found.relations, kg)
    chosen = place.said(known.relation(place.raw("relation"), kg))
    place.keep("relation", None if chosen is None else kg.relations[chosen])
    key, state = "data_relations", st.session_state
    state[key] = {"selection": {"rows": [ids.index(chosen)] if chosen in ids else []}}

    def picked() -> None:
        at = state[key]["selection"]["rows"]
        place.choose("relation", kg.relations[ids[at[0]]] if at else None)

    st.dataframe(
        rows,
        hide_index=True,
        height="content" if len(rows) < 11 else 400,
        placeholder="–",
        column_config=tables.relation_columns(),
        key=key,
        on_select=picked,
        selection_mode="single-row",
        alt=tables.relations_alt(rows, kg.num_relations),
    )
    if len(rows) < kg.num_relations:
        st.caption(f"The {len(rows):,} largest of {kg.num_relations:,} relations.")
    if chosen is None:
        st.caption("Choose a row to see what the relation holds.")
    else:
        _relation(place, found, chosen)


def _relation(place: Address, found: Survey, chosen: int) -> None:
    kg = found.kg
    with st.container(border=True):
        st.markdown(
            f"**{markdown_text(kg.relations[chosen])}**  \n{tables.sentence(found.relations[chosen], kg)}"
        )
        left, middle, right = st.columns([4, 3, 3])
        with left:
            rows = tables.examples(kg, chosen)
            st.caption("Some of its triplets")
            st.dataframe(
                {
                    "Head": [kg.entities[head] for head in rows[:, 0]],
                    "Tail": [kg.entities[tail] for tail in rows[:, 2]],
                },
                hide_index=True,
                height="content",
                alt=f"{len(rows)} triplets of {kg.relations[chosen][:60]}, as head and tail.",
            )
        for column, number, word in ((middle, 0, "heads"), (right, 2, "tails")):
            with column:
                _frequent(place, kg, chosen, number, word)


def _frequent(place: Address, kg: KnowledgeGraph, chosen: int, column: int, word: str) -> None:
    ids, times = tables.frequent(kg, chosen, column)
    key, state = f"data_frequent_{word}", st.session_state
    state[key] = {"selection": {"rows": []}}

    def picked() -> None:
        if at := state[key]["selection"]["rows"]:
            place.choose("entity", kg.entities[int(ids[at[0]])])

    st.caption(f"Most frequent {word}")
    st.dataframe(
        {word[:-1].capitalize(): [kg.entities[entity] for entity in ids], "Times": times},
        hide_index=True,
        height="content",
        column_config={"Times": st.column_config.NumberColumn(width=70, format="localized")},
        key=key,
        on_select=picked,
        selection_mode="single-row",
        alt=f"The most frequent {word} of {kg.relations[chosen][:60]} in train. A chosen one is shown below.",
    )
