"""Screen Map: entities and generated negatives of one relation in one picture, over all snapshots of a run."""

import math
from typing import Any

import pandas as pd
import streamlit as st

from dans_app.map import asked as map_asked
from dans_app.map import data as map_data
from dans_app.map import view as map_view
from dans_app.map import words as map_words
from dans_app.map.asked import Asked
from dans_app.server import loading
from dans_app.server.loading import Picture
from dans_app.shared import classroom, dialogs, exports, name_search, run_state, shell, url_values
from dans_app.shared.words import markdown_text
from dans_core.kg import KnowledgeGraph
from dans_data.words import count, share
from dans_lab.map import pictures, relation_view
from dans_lab.map import plate as map_plate
from dans_lab.map.projection import TRUST_NEIGHBOURS
from dans_lab.map.relation_view import RelationView
from dans_lab.runs.frames import Frame
from dans_lab.runs.run import Run

KEY = "map"
FROZEN = "map_frozen"
LARGE = 200_000  # points of all snapshots, from which on reading them takes a moment
SOURCES = {"G_E": "fake of G_E", "G_R": "fake of G_R", "random": "random negative"}


def show() -> None:
    run = shell.begin(
        "Map",
        "Where the generated negatives lie among the real entities, relation by relation, as the run goes on.",
        "There is no run yet. Start one on the Train page; its map appears here as it trains.",
        ":material/scatter_plot:",
    )
    if run is None:
        return
    with shell.told("This run cannot be drawn"):
        epochs = [epoch for epoch, _ in run.snapshots()]
        frozen = st.session_state.get(FROZEN, {}).get(run.id)
        if epochs:
            show_map(run, loading.graph(run), frozen or epochs)
        else:
            show_nothing_yet(run)
        watch(run, epochs, frozen=bool(frozen))


def show_nothing_yet(run: Run) -> None:
    if run.in_shards:
        st.info(
            "The entity table of this run is in shards, of which no snapshots are taken. Choose another run above.",
            icon=":material/scatter_plot:",
        )
    elif run_state.under_way(run.status):
        st.info(
            "No snapshot yet: the first comes as soon as training begins, then one every "
            f"{count(run.config.snapshot_every, 'epoch')}. This page looks for it by itself.",
            icon=":material/hourglass_top:",
        )
    else:
        st.info(
            "This run ended before its first snapshot, so there is nothing to draw. Choose another run above.",
            icon=":material/scatter_plot:",
        )


@st.fragment
def show_map(run: Run, kg: KnowledgeGraph, epochs: list[int]) -> None:
    with shell.told("This run cannot be drawn"):
        draw_map(run, kg, epochs)


def draw_map(run: Run, kg: KnowledgeGraph, there: list[int]) -> None:
    newest = loading.frame(run, there[-1], kg)
    epochs = pictures.shown_epochs(there, newest.size, newest.entities.shape[1], newest.is_sample)
    # Always there, since another number of elements above the map would begin it anew.
    busy = st.empty()
    if newest.size * len(epochs) > LARGE:
        busy.caption(f":material/progress_activity: Reading {count(len(epochs), 'snapshot')} …")
    asked = map_asked.checked(run, kg, there, epochs, newest, KEY)
    if asked.place.message:
        st.warning(asked.place.message, icon=":material/link_off:")
    view = loading.view(run, epochs, kg, asked.relation)
    frames = loading.frames(run, epochs, kg)
    frame = frames[asked.now]
    picture = loading.picture(run, epochs, asked.shown, kg, asked.method, view.focus)
    data = map_plate.payload(
        [map_plate.plate(shell.describe(run), run.id, view, frames, kg, picture.series, picture.single)],
        asked.token,
        epoch=asked.epoch,
        layers=asked.layers,
        colour=asked.colour,
        field=asked.field,
        found=map_data.kept(asked.found, newest),
        selection=asked.selection,
        live=run.is_live,
        table=True,
    )
    beside, wide = st.columns([2, 7], gap="medium")
    # What is sent first is drawn first.
    with wide:
        map_view.show(data, KEY)
        made = map_words.origin(picture, asked.method, frame, loading.projector().warm, data["live"])
        lines = [
            made,
            map_words.sample(newest, kg),
            map_words.found(asked.found, newest),
            *map_words.notes(view),
        ]
        st.caption(" ".join(filter(None, lines)))
        st.markdown("  \n".join(map_words.sentences(view, frame, asked.now, run)))
    with beside:
        choices(asked)
        trust(asked, picture)
        nearest(asked, view, frame)
    st.session_state["map_waiting"] = picture.waiting
    selected(asked, view, frame)
    tables(asked, view, data)
    busy.empty()


# --- the choices -----------------------------------------------------------------------------------------------


def choices(asked: Asked) -> None:
    kg, place, state = asked.kg, asked.place, st.session_state
    state["map_relation"] = asked.relation
    st.selectbox(
        "Relation",
        range(2 * kg.num_relations),
        format_func=lambda number: relation_view.relation_label(kg, number),
        key="map_relation",
        on_change=lambda: place.choose("relation", kg.relation_name(state["map_relation"])),
        help="Type to search. A name with ⁻¹ is the same relation read backwards: its answers are heads, so its fakes "
        "are fake heads.",
    )
    place.segmented(
        "projection",
        "Projection",
        map_plate.NAMES,
        asked.method,
        "UMAP and t-SNE show neighbourhoods, PCA true directions and gaps. UMAP and PCA hold all snapshots in one "
        "space, so that epochs can be compared.",
    )
    state["map_colour"] = asked.colour
    st.selectbox(
        "Colour by",
        asked.colours(),
        format_func=map_plate.COLOUR_NAMES.__getitem__,
        key="map_colour",
        on_change=lambda: place.choose("colour", state["map_colour"]),
        help="**Hardness**: the decoder’s score of a negative minus a true answer’s of its query; above 0 the model "
        "prefers the negative. **D_adv**: how real the discriminator thinks a point is. **D_aux**: which pathway it "
        "believes made it. **Epoch**: the way each negative has come.",
    )
    search(asked)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        if asked.newest.has_fakes:
            state["map_field"] = asked.field
            st.toggle(
                "D_adv’s field",
                key="map_field",
                on_change=lambda: place.choose("field", "on" if state["map_field"] else None),
                help="Behind the points, what D_adv thinks of them: a mean over the points around each place, pale "
                "where there are few. D sees all dimensions, so the field is a summary, not its border.",
            )
        if asked.run.is_live:
            state["map_freeze"] = asked.run.id in state.get(FROZEN, {})
            st.toggle(
                "Freeze",
                key="map_freeze",
                on_change=freeze,
                args=(asked.run, asked.epochs),
                help="Stay with the snapshots of now while the run goes on.",
            )


def search(asked: Asked) -> None:
    kg, place, state = asked.kg, asked.place, st.session_state
    if kg.num_entities > name_search.LARGE:
        name_search.entity_search(
            "Find entities",
            kg,
            place.raw("find"),
            "map_find_name",
            "A part of a name, or a /regular expression/. What is found has a ring on the map.",
            on_pick=lambda text: place.choose("find", text or None),
            part=True,
        )
        return
    state["map_find"] = place.raw("find") or ""
    st.text_input(
        "Find entities",
        key="map_find",
        placeholder="Find: part, or /pattern/",
        label_visibility="collapsed",
        max_chars=url_values.LONGEST_SEARCH,
        on_change=lambda: place.choose("find", state["map_find"] or None),
    )


def freeze(run: Run, epochs: list[int]) -> None:
    st.session_state[FROZEN] = {run.id: epochs} if st.session_state["map_freeze"] else {}


# --- what is shown ---------------------------------------------------------------------------------------------


def selected(asked: Asked, view: RelationView, frame: Frame) -> None:
    """The selected points by name."""
    kg = asked.kg
    rows = map_data.selected(asked.selection, view, frame, asked.now, kg)
    if not len(rows):
        return
    st.markdown(f"**What you selected** · {count(len(rows), 'point')}, epoch {frame.epoch:,}")
    show_table(rows, "map_selected", "selected-points")
    if fact := map_data.triplet_of(asked.selection, view):
        head, tail = (kg.entities[number] for number in fact)
        st.page_link(
            shell.page("Triplet"),
            label=f"Look at a triplet of {markdown_text(head, 40)}",
            icon=":material/conversion_path:",
            help="All negatives of this query, from each sampler, with the arithmetic of each score.",
            query_params={
                "run": asked.run.id,
                "head": head,
                "relation": asked.relation_name,
                "tail": tail,
            },
        )


def nearest(asked: Asked, view: RelationView, frame: Frame) -> None:
    """What lies nearest to the first selected point in all dimensions, where the picture may mislead."""
    found = map_plate.parse(asked.selection)
    point = map_data.vector(found[0], view, frame) if found else None
    if point is None:
        return
    source, number = found[0]
    name = markdown_text(asked.kg.entities[number], 40)
    what = name if source == "e" else f"the {markdown_text(SOURCES[source])} for {name}"
    among = f" of the {len(frame.entity_ids):,} entities here" if frame.is_sample else ""
    st.markdown(f"**Nearest in all dimensions** to {what}{among}, by cosine:")
    near = map_data.neighbours(point, frame, asked.kg)
    lines = [f"1. {markdown_text(entity, 34)} · {cosine:.2f}" for entity, cosine in near]
    config = asked.run.config
    if not (config.proposes and source in config.fakes) or frame.is_sample:
        st.markdown("\n".join(lines))
        return
    proposed = map_data.chances(point, frame, config.tau)
    shares = (share(q, 1).replace(" ", "\N{NO-BREAK SPACE}") for q in proposed)
    st.markdown("\n".join(f"{line} · {q}" for line, q in zip(lines, shares, strict=True)))
    st.caption(
        "Behind the cosine stands the chance of the entity to be drawn as a negative, where this fake is read as a "
        f"proposal. A random draw gives each {share(1 / asked.kg.num_entities, 1)}."
    )


def trust(asked: Asked, picture: Picture) -> None:
    """How far the picture can be trusted, and how not to misread it."""
    alone = picture.single is not None and picture.single.epochs[0] == asked.shown
    made = picture.single if alone and picture.single else picture.series
    share = loading.trust(asked.run, asked.shown, asked.kg, made)
    st.metric(
        "Trustworthiness",
        "–" if math.isnan(share) else f"{share:.2f}",
        help="Whether points that stand close together in the picture are close in all dimensions, too: 1 if each "
        f"point’s {TRUST_NEIGHBOURS} nearest are among its {TRUST_NEIGHBOURS} nearest there. Each that is not takes "
        "off the more, the further down that ranking it stands; chance gives 0.5. Below 0.9, do not trust who stands "
        "beside whom.",
    )
    explained = made.explained[made.epochs.index(asked.shown)]
    held = "" if math.isnan(explained) else f" Here they hold {explained:.0%} of this epoch’s variance."
    st.markdown(f"**How not to misread it.** {map_plate.MISREAD[made.method]}{held}")


def tables(asked: Asked, view: RelationView, data: dict[str, Any]) -> None:
    name = f"{asked.run.id}-{asked.relation_name}-{asked.shown}"
    with st.expander(
        "The negatives as a table", icon=":material/table:", key="map_table_open", on_change="rerun"
    ) as opened:
        if opened.open:
            show_table(map_data.table(view, asked.now, asked.kg), "map_table", f"map-{name}")
    title = f"{asked.relation_name}: {shell.describe(asked.run)}"
    if classroom.hides("downloads"):
        return
    st.download_button(
        "This map as a page",
        lambda: map_view.page(data, title, map_words.MISREAD_PLAIN),
        file_name=exports.file_name(f"map-{name}", "html"),
        mime="text/html",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
        help=f"One HTML file with the map of {markdown_text(asked.relation_name, 60)}, to play and hover in any "
        "browser. PNG: below the map.",
    )


def show_table(rows: pd.DataFrame, key: str, name: str) -> None:
    st.dataframe(
        rows,
        hide_index=True,
        key=key,
        height="content" if len(rows) < 9 else 340,
        column_config=map_data.columns(),
        alt="Table of the negatives on the map.",
    )
    exports.table(rows, name)


# --- waiting ---------------------------------------------------------------------------------------------------


def watch(run: Run, epochs: list[int], frozen: bool) -> None:
    """Run the page again when UMAP arrives or a live run has a new snapshot; quiet otherwise."""
    waiting = st.session_state.get("map_waiting") or () if epochs else ()
    live = not frozen and run_state.under_way(run.status)
    every = 0.7 if waiting else 2.0 if live else None

    @st.fragment(run_every=every)
    def tick() -> None:
        ready = any(not loading.projector().busy(file) for file in waiting)
        ended = live and not run_state.under_way(run.status)
        if ready or ended or (live and [epoch for epoch, _ in run.snapshots()] != epochs):
            dialogs.redraw()

    if every is not None:
        tick()


shell.guard()
show()
