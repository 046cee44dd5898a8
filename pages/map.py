"""Screen Map: entities and generated negatives of one relation in one picture, over all snapshots of a run."""

import math
from typing import Any

import pandas as pd
import streamlit as st

from dans_app.map import data as map_data
from dans_app.map import view as map_view
from dans_app.map import words as map_words
from dans_app.server import loading
from dans_app.server import relation_view as snapshots
from dans_app.server.loading import Picture
from dans_app.server.projection import TRUST_NEIGHBOURS, Method
from dans_app.server.relation_view import RelationView
from dans_app.shared import exports, name_search, shell
from dans_app.shared import url_values as wanted
from dans_app.shared.address import Address
from dans_app.shared.name_search import entity_search
from dans_core.kg import KnowledgeGraph
from dans_lab.runs.frames import Frame
from dans_lab.runs.run import Run

KEY = "map"
FROZEN = "map_frozen"
SELECTED_IN_ADDRESS = 40
LARGE = 200_000  # points of all snapshots, from which on reading them takes a moment
COLOURS = {
    "layer": "Layer", "hardness": "Hardness", "d_adv": "D_adv", "d_aux": "D_aux", "epoch": "Epoch, with trails"
}  # fmt: skip
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
    if run.is_live or run.status.state == "queued":
        st.info(
            "No snapshot yet: the first comes as soon as training begins, then one every "
            f"{snapshots.count(run.config.snapshot_every, 'epoch')}. This page looks for it by itself.",
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


def draw_map(run: Run, kg: KnowledgeGraph, epochs: list[int]) -> None:
    last = loading.frame(run, epochs[-1], kg)
    there, epochs = epochs, loading.shown_epochs(epochs, last.size, last.entities.shape[1], last.is_sample)
    # Always there, since another number of elements above the map would begin it anew.
    busy = st.empty()
    if last.size * len(epochs) > LARGE:
        busy.caption(f":material/progress_activity: Reading {snapshots.count(len(epochs), 'snapshot')} …")
    place, time = Address("map", kg.hash), Address("map", run.id, "epoch")
    token = f"{run.id} {kg.hash[:12]} {time.visit}"
    at = map_view.state(KEY, token)
    if at:
        follow(place, time, at)
    relation = place.said(wanted.relation(place.raw("relation"), kg))
    epoch = time.said(wanted.epoch(time.raw("epoch"), there))
    if epoch is not None:
        # Of a long run the map holds some snapshots, and what stood there may have given way.
        epoch = max(each for each in epochs if each <= epoch)
    method = place.said(wanted.one_of(place.raw("projection"), "projection", list(map_data.NAMES)))
    colour = place.said(wanted.one_of(place.raw("colour"), "colour", list(COLOURS)))
    field = place.said(wanted.one_of(place.raw("field"), "field", ["off", "on"])) == "on"
    layers = place.said(
        wanted.some_of(place.raw("layers"), "layer", list(map_data.LAYERS), map_data.DEFAULT_LAYERS)
    )
    found = place.said(wanted.matching(place.raw("find"), kg))
    selection = [
        f"{source}:{number}" for source, number in map_data.parse((time.raw("selection") or "").split(","))
    ]
    place.keep("relation", kg.relation_name(relation))
    for address, name, value, default in (
        (time, "epoch", epoch, None),
        (place, "projection", method, "umap"),
        (place, "colour", colour, "layer"),
        (place, "field", "on" if field else "off", "off"),
        (place, "layers", ",".join(layers) or "none", ",".join(map_data.DEFAULT_LAYERS)),
        (time, "selection", ",".join(selection[:SELECTED_IN_ADDRESS]), ""),
    ):
        address.keep(name, None if value == default else str(value))
    if place.message:
        st.warning(place.message, icon=":material/link_off:")
    if not last.has_fakes:
        # Kept in the address for the next run: this one has no discriminator to tell it. The same for D_aux below.
        colour, field = "layer" if colour == "d_adv" else colour, False
    if not last.has_aux and colour == "d_aux":
        colour = "layer"

    shown = epochs[-1] if epoch is None else epoch
    now = epochs.index(shown)
    view = loading.view(run, epochs, kg, relation)
    frames = loading.frames(run, epochs, kg)
    picture = loading.picture(run, epochs, shown, kg, method, view.focus)
    data = map_view.payload(
        [map_data.plate(shell.describe(run), run.id, view, frames, kg, picture.series, picture.single)],
        token,
        epoch=epoch,
        layers=layers,
        colour=colour,
        field=field,
        found=map_data.kept(found, last),
        selection=selection,
        live=run.is_live,
    )
    above = st.container()
    left, right = st.columns([7, 2], gap="medium")
    # What is sent first is drawn first.
    with left:
        map_view.show(data, KEY)
        made = map_words.origin(picture, method, frames[now], loading.projector().warm, data["live"])
        lines = [made, map_words.sample(last, kg), map_words.found(found, last), *map_words.notes(view)]
        st.caption(" ".join(filter(None, lines)))
    with above:
        controls(place, run, kg, epochs, relation, method, colour, field, last.has_fakes, last.has_aux)
        st.markdown("  \n".join(map_words.sentences(view, frames[now], now, run)))
    with right:
        beside(run, kg, picture, shown)
        nearest(selection, view, frames[now], kg)
    st.session_state["map_waiting"] = picture.waiting
    chosen(run, selection, view, frames[now], now, kg)
    tables(run, view, now, kg, data, shown)
    busy.empty()


def follow(place: Address, time: Address, at: dict[str, Any]) -> None:
    """Into the address what the person did on the map, where the browser has told it since the last time."""
    if st.session_state.get("map_told") == at:
        return
    st.session_state["map_told"] = at
    layers = [name for name in map_data.LAYERS if name in at["layers"]]
    time.choose("epoch", None if at["epoch"] is None else str(at["epoch"]))
    place.choose("layers", ",".join(layers) or "none")
    keys = [f"{source}:{number}" for source, number in map_data.parse(at["selection"])]
    time.choose("selection", ",".join(keys) or None)


# --- the choices -----------------------------------------------------------------------------------------------


def controls(
    place: Address, run: Run, kg: KnowledgeGraph, epochs: list[int], relation: int, method: Method, colour: str,
    field: bool, has_fakes: bool, has_aux: bool,
) -> None:  # fmt: skip
    one, two, three = st.columns([5, 4, 4], vertical_alignment="bottom")
    state = st.session_state
    with one:
        state["map_relation"] = relation
        st.selectbox(
            "Relation",
            range(2 * kg.num_relations),
            format_func=lambda number: snapshots.relation_label(kg, number),
            key="map_relation",
            on_change=lambda: place.choose("relation", kg.relation_name(state["map_relation"])),
            help="Type to search. A name with ⁻¹ is the same relation read backwards: its answers are heads, so its "
            "fakes are fake heads.",
        )
    with two:
        place.segmented(
            "projection",
            "Projection",
            map_data.NAMES,
            method,
            "UMAP and t-SNE show neighbourhoods, PCA true directions and gaps. UMAP and PCA hold all snapshots in one "
            "space, so that epochs can be compared.",
        )
    with three:
        state["map_colour"] = colour
        st.selectbox(
            "Colour by",
            [name for name in COLOURS if {"d_adv": has_fakes, "d_aux": has_aux}.get(name, True)],
            format_func=COLOURS.__getitem__,
            key="map_colour",
            on_change=lambda: place.choose("colour", state["map_colour"]),
            help="**Hardness**: the decoder’s score of a negative minus a true answer’s of its query; above 0 the "
            "model prefers the negative. **D_adv**: how real the discriminator thinks a point is. **D_aux**: which "
            "pathway it believes made it. **Epoch**: the way each negative has come.",
        )
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        if kg.num_entities > name_search.LARGE:
            entity_search(
                "Find entities",
                kg,
                place.raw("find"),
                "map_find_name",
                "A part of a name, or a /regular expression/. What is found has a ring on the map.",
                on_pick=lambda text: place.choose("find", text or None),
                part=True,
            )
        else:
            state["map_find"] = place.raw("find") or ""
            st.text_input(
                "Find entities",
                key="map_find",
                placeholder="Find: part of a name, or /regular expression/",
                label_visibility="collapsed",
                max_chars=wanted.LONGEST_SEARCH,
                on_change=lambda: place.choose("find", state["map_find"] or None),
                width=330,
            )
        if has_fakes:
            state["map_field"] = field
            st.toggle(
                "D_adv’s field",
                key="map_field",
                on_change=lambda: place.choose("field", "on" if state["map_field"] else None),
                help="Behind the points, what D_adv thinks of them: a mean over the points around each place, pale "
                "where there are few. D sees all dimensions, so the field is a summary, not its border.",
            )
        if run.is_live:
            state["map_freeze"] = run.id in state.get(FROZEN, {})
            st.toggle(
                "Freeze",
                key="map_freeze",
                on_change=freeze,
                args=(run, epochs),
                help="Stay with the snapshots of now while the run goes on.",
            )


def freeze(run: Run, epochs: list[int]) -> None:
    st.session_state[FROZEN] = {run.id: epochs} if st.session_state["map_freeze"] else {}


# --- what is shown ---------------------------------------------------------------------------------------------


def chosen(
    run: Run, selection: list[str], view: RelationView, frame: Frame, now: int, kg: KnowledgeGraph
) -> None:
    """The selected points by name."""
    rows = map_data.selected(selection, view, frame, now, kg)
    if len(rows):
        st.markdown(f"**What you selected** · {snapshots.count(len(rows), 'point')}, epoch {frame.epoch:,}")
        show_table(rows, "map_selected", "selected-points")
        if fact := map_data.triplet_of(selection, view):
            head, tail = (kg.entities[number] for number in fact)
            st.page_link(
                next(page for page in shell.pages() if page.url_path == "triplet"),
                label=f"Look at a triplet of {shell.plain(head, 40)}",
                icon=":material/conversion_path:",
                help="All negatives of this query, from each sampler, with the arithmetic of each score.",
                query_params={
                    "run": run.id,
                    "head": head,
                    "relation": kg.relation_name(view.relation),
                    "tail": tail,
                },
            )


def nearest(selection: list[str], view: RelationView, frame: Frame, kg: KnowledgeGraph) -> None:
    """What lies nearest to the first selected point in all dimensions, where the picture may mislead."""
    found = map_data.parse(selection)
    point = map_data.vector(found[0], view, frame) if found else None
    if point is None:
        return
    source, number = found[0]
    name = shell.plain(kg.entities[number], 40)
    what = name if source == "e" else f"the {shell.plain(SOURCES[source])} for {name}"
    near = map_data.neighbours(point, frame, kg)
    among = f" of the {len(frame.entity_ids):,} entities here" if frame.is_sample else ""
    st.markdown(f"**Nearest in all dimensions** to {what}{among}, by cosine:")
    st.markdown("\n".join(f"1. {shell.plain(entity, 34)} · {cosine:.2f}" for entity, cosine in near))


def beside(run: Run, kg: KnowledgeGraph, picture: Picture, epoch: int) -> None:
    alone = picture.single is not None and picture.single.epochs[0] == epoch
    made = picture.single if alone and picture.single else picture.series
    trust = loading.trust(run, epoch, kg, made)
    st.metric(
        "Trustworthiness",
        "–" if math.isnan(trust) else f"{trust:.2f}",
        help=f"How many of a point’s {TRUST_NEIGHBOURS} neighbours in the picture are neighbours in all dimensions: "
        "1 is all, 0.5 what chance gives. Below 0.9, do not trust who stands beside whom.",
    )
    explained = made.explained[made.epochs.index(epoch)]
    held = "" if math.isnan(explained) else f" Here they hold {explained:.0%} of this epoch’s variance."
    st.markdown(map_words.MISREAD[made.method] + held)


def tables(
    run: Run, view: RelationView, now: int, kg: KnowledgeGraph, data: dict[str, Any], epoch: int
) -> None:
    name = f"{run.id}-{kg.relation_name(view.relation)}-{epoch}"
    with st.expander(
        "The negatives as a table", icon=":material/table:", key="map_table_open", on_change="rerun"
    ) as opened:
        if opened.open:
            show_table(map_data.table(view, now, kg), "map_table", f"map-{name}")
    relation = shell.plain(kg.relation_name(view.relation), 60)
    st.download_button(
        "This map as a page",
        lambda: map_view.page(
            data, f"{kg.relation_name(view.relation)}: {shell.describe(run)}", map_words.MISREAD_PLAIN
        ),
        file_name=exports.file_name(f"map-{name}", "html"),
        mime="text/html",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
        help=f"One HTML file with the map of {relation}, to play and hover in any browser. PNG: below the map.",
    )


def show_table(rows: pd.DataFrame, key: str, name: str) -> None:
    column = st.column_config
    st.dataframe(
        rows,
        hide_index=True,
        key=key,
        height="content" if len(rows) < 9 else 340,
        column_config={
            "source": column.TextColumn("Source", help="Who made it."),
            "head": column.TextColumn("Made for", help="The entity of the query it was made for."),
            "nearest entity": column.TextColumn("Nearest entity", help="By cosine, over all entities."),
            "score": column.NumberColumn(
                "Score", format="%.2f", help="By the decoder: higher is more believed."
            ),
            "against true": column.NumberColumn(
                "Against true",
                format="%+.2f",
                help="Score minus that of a true answer of the same query. Above 0 the model prefers the negative.",
            ),
            "cosine": column.NumberColumn("Cosine", format="%.2f", help="To the nearest entity."),
            "length": column.NumberColumn(
                "Length",
                format="× %.2f",
                help="Against the median length of an entity. The cosine does not see it.",
            ),
            "D_adv": column.NumberColumn("D_adv", format="%.2f", help="Probability “real”."),
            "D_aux": column.TextColumn("D_aux", help="Which pathway D believes made it, and how sure it is."),
            "known fact": column.TextColumn(
                "Known fact",
                help="The split in which head, relation and nearest entity are a fact: a false negative.",
            ),
        },
        alt="Table of the negatives on the map.",
    )
    exports.table(rows, name)


# --- waiting ---------------------------------------------------------------------------------------------------


def watch(run: Run, epochs: list[int], frozen: bool) -> None:
    """Run the page again when UMAP arrives or a live run has a new snapshot; quiet otherwise."""
    waiting = st.session_state.get("map_waiting") or () if epochs else ()
    live = not frozen and (run.is_live or run.status.state == "queued")
    every = 0.7 if waiting else 2.0 if live else None

    @st.fragment(run_every=every)
    def tick() -> None:
        ready = any(not loading.projector().busy(job) for job in waiting)
        ended = live and not run.is_live and run.status.state != "queued"
        if ready or ended or (live and [epoch for epoch, _ in run.snapshots()] != epochs):
            st.rerun()

    if every is not None:
        tick()


shell.guard()
show()
