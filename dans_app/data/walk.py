"""The part of the Data screen that goes from entity to entity: a search, a drawing, the way one came, a table."""

from __future__ import annotations

from functools import partial

import streamlit as st

from dans_app.data import around as data_around
from dans_app.data import known, tables
from dans_app.data.known import Survey
from dans_app.shared import name_search, shell, url_values
from dans_app.shared.address import Address
from dans_app.shared.words import markdown_text
from dans_core.kg import KnowledgeGraph
from dans_data import SPLITS
from dans_lab import survey

STEPS = {"1": "Its triplets", "2": "One step further"}
"""What is shown around an entity, by how far it lies."""


def around(place: Address, found: Survey) -> None:
    """Everything about the entity that the address names, by default the one with most triplets."""
    kg = found.kg
    entity, problem = url_values.entity(place.raw("entity"), kg, "entity")
    if problem:
        place.complain(problem)
    entity = found.statistics.busiest if entity is None else entity
    steps = place.said(url_values.one_of(place.raw("steps"), "steps", list(STEPS)))
    place.keep("entity", kg.entities[entity])
    beside, wide = st.columns([2, 5], gap="medium")
    with beside:
        st.header(
            "Around one entity",
            anchor=False,
            help="The triplets of all three splits that an entity stands in. Where there are too many to draw, "
            "relations take turns, so that a rare one is seen beside one with thousands.",
        )
        name_search.entity_search(
            "Entity",
            kg,
            kg.entities[entity],
            "data_entity",
            help="Type a part of a name.",
            on_pick=lambda name: place.choose("entity", name),
        )
        place.segmented(
            "steps",
            "Show",
            STEPS,
            steps,
            "What is drawn and listed: the triplets of the entity, or also those of its neighbours.",
        )
        drawn = survey.neighbourhood(kg, entity, data_around.MOST_DRAWN, second_hop=steps == "2")
        _sentence(kg, drawn)
        _trail(place, kg, entity)
    key = "data_around"

    def pressed() -> None:
        if (number := data_around.picked(key, kg)) is not None:
            place.choose("entity", kg.entities[number])

    if drawn.total:
        with wide:
            data_around.show(data_around.scene(kg, drawn), key, pressed)
        _listed(place, found, entity, steps == "2")


def _trail(place: Address, kg: KnowledgeGraph, entity: int) -> None:
    """The entities visited on the way; pressing one goes back to it."""
    came = data_around.trail(kg, entity)
    if len(came) < 2:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        for number, before in enumerate(came[:-1]):
            st.button(
                f"{markdown_text(kg.entities[before], 30)} ›",
                key=f"data_trail_{number}",
                type="tertiary",
                icon=":material/arrow_back:" if number == len(came) - 2 else None,
                on_click=partial(place.choose, "entity", kg.entities[before]),
            )
        st.markdown(f"**{markdown_text(kg.entities[entity], 30)}**", width="content")


def _sentence(kg: KnowledgeGraph, drawn: survey.Neighbourhood) -> None:
    name = markdown_text(kg.entities[drawn.entity])
    if not drawn.total:
        st.info(f"No triplet has {name} in it.", icon=":material/hub:")
        return
    splits = {split: 0 for split in SPLITS}
    ways = {True: 0, False: 0}
    for (_, out, split), count in drawn.totals.items():
        splits[split] += count
        ways[out] += count
    held = ", ".join(f"{count:,} in {split}" for split, count in splits.items() if count)
    words = f"**{name}** is the head of {ways[True]:,} triplets and the tail of {ways[False]:,}: {held}."
    if not splits["train"]:
        words += " Train never shows it, so nothing is learned about it."
    if len(drawn.first) < drawn.total:
        words += f" Drawn are {len(drawn.first)} of them."
    st.markdown(words)


def _listed(place: Address, found: Survey, entity: int, further: bool) -> None:
    """The same as a table; a chosen triplet offers where to go."""
    kg = found.kg
    around = survey.neighbourhood(kg, entity, data_around.MOST_LISTED, second_hop=further)
    rows = tables.links(around.links, kg)
    key = "data_links"
    event = st.dataframe(
        rows,
        hide_index=True,
        height="content" if len(rows) < 9 else 320,
        column_order=[name for name in rows if further or name != "hop"],
        column_config=tables.link_columns(),
        key=f"{key}_{entity}_{further}",
        on_select="rerun",
        selection_mode="single-row",
        alt=f"{len(rows):,} triplets around {kg.entities[entity][:60]}, one a row.",
    )
    at = event["selection"]["rows"]
    chosen = around.links[at[0]] if at and at[0] < len(around.links) else None
    run = known.run_on(kg, st.session_state.get(shell.PICKED))
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if chosen is not None:
            for other in dict.fromkeys((chosen.head, chosen.tail)):
                if other != entity:
                    st.button(
                        f"Go to {markdown_text(kg.entities[other], 40)}",
                        icon=":material/hub:",
                        on_click=partial(place.choose, "entity", kg.entities[other]),
                    )
        if run is not None:
            if chosen is not None and st.button(
                "Its negatives",
                icon=":material/conversion_path:",
                help="What a sampler puts against this triplet, on the Triplet page.",
            ):
                shell.leave(
                    "Triplet",
                    run=run.id,
                    head=kg.entities[chosen.head],
                    relation=kg.relations[chosen.relation],
                    tail=kg.entities[chosen.tail],
                )
            if st.button(
                "Find it on the map",
                icon=":material/scatter_plot:",
                help=f"Where {markdown_text(kg.entities[entity], 60)} lies among the embeddings of a run on these "
                "data.",
            ):
                shell.leave("Map", run=run.id, find=kg.entities[entity][: url_values.LONGEST_SEARCH])
    total = around.total + around.further
    shown = f"{len(rows):,} of {total:,} triplets. " if len(rows) < total else ""
    hint = (
        "Choose a row to go on from there."
        if run
        else "Choose a row to go on from there; once a run was trained on these data, to its negatives as well."
    )
    st.caption(shown + hint)
