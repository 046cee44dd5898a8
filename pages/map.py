"""Screen Map: entities and generated negatives of one relation in one picture, at every snapshot of a run."""

import math
from typing import TypeVar

import pandas as pd
import streamlit as st

from dans_app import loading, map_figure, shell, snapshots, wanted
from dans_app.address import Address
from dans_app.loading import Picture
from dans_app.projection import TRUST_NEIGHBOURS, Projection
from dans_app.snapshots import Frame, RelationView
from dans_core.kg import KnowledgeGraph
from dans_core.runs import Run

T = TypeVar("T")

METHODS = {"umap": "UMAP", "pca": "PCA"}
COLOURS = {"source": "Source", "opinion": "D’s opinion"}
_MARKS = {"G_E": ":orange[◆]", "G_R": ":blue[■]", "random": ":gray[✕]"}

FEW = 5  # up to so many true answers, a relation is said to have few

_MISREAD = {
    "umap": "**How not to misread it.** In UMAP, who is beside whom means something; the size of a cloud, the gap "
    "between two clouds and the directions mean nothing. Look again in PCA before you believe a gap.",
    "pca": "**How not to misread it.** PCA keeps directions and true gaps, but only two of all dimensions: points that "
    "lie on one another here may be far apart in the others.",
}


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
        if epochs:
            _show_map(run, loading.graph(run), epochs)
        else:
            _show_nothing_yet(run)
        _watch(run, epochs)


def _show_nothing_yet(run: Run) -> None:
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


# --- the choices -----------------------------------------------------------------------------------------------


def _show_map(run: Run, kg: KnowledgeGraph, epochs: list[int]) -> None:
    place, time = Address("map", kg.hash), Address("map", run.id, "epoch")
    relation = _said(place, wanted.relation(place.raw("relation"), kg))
    epoch = _said(time, wanted.epoch(time.raw("epoch"), epochs))
    method = _said(place, wanted.one_of(place.raw("projection"), "projection", list(METHODS)))
    colour = _said(place, wanted.one_of(place.raw("colour"), "colour", list(COLOURS)))
    layers = _said(
        place,
        wanted.some_of(place.raw("layers"), "layer", list(map_figure.LAYERS), map_figure.DEFAULT_LAYERS),
    )
    found = _said(place, wanted.entity(place.raw("entity"), kg, "entity"))
    place.keep("relation", kg.relation_name(relation))
    for address, name, value, default in (
        (time, "epoch", epoch, None),
        (place, "projection", method, "umap"),
        (place, "colour", colour, "source"),
        (place, "layers", ",".join(layers) or "none", ",".join(map_figure.DEFAULT_LAYERS)),
        (place, "entity", None if found is None else kg.entities[found], None),
    ):
        address.keep(name, None if value == default else str(value))
    if place.message:
        st.warning(place.message, icon=":material/link_off:")

    frame = loading.frame(run, epochs[-1] if epoch is None else epoch, kg)
    one, two, three = st.columns([5, 5, 3], vertical_alignment="top")
    with one:
        _relation_choice(place, kg, relation)
    with two:
        _epoch_choice(time, run, epochs, epoch)
    with three:
        _choice(place, "projection", "Projection", METHODS, method, "map_method",
                "UMAP shows neighbourhoods, PCA shows true directions and gaps.")  # fmt: skip
    _layer_choice(place, kg, layers, frame)

    view = loading.view(run, frame.epoch, kg, relation)
    picture = loading.picture(run, frame.epoch, kg, method, view.focus)
    _show_words(view, frame, run)
    _show_picture(view, frame, picture, kg, layers, colour == "opinion", found)
    _show_beside(place, picture, view, frame, kg, colour, found, layers)
    st.session_state["map_waiting"] = picture.waiting


def _said(address: Address, answer: tuple[T, str | None]) -> T:
    """The value of an answer of `wanted`; its complaint is kept to be shown."""
    value, complaint = answer
    if complaint:
        address.complain(complaint)
    return value


def _relation_choice(place: Address, kg: KnowledgeGraph, relation: int) -> None:
    st.session_state["map_relation"] = relation
    st.selectbox(
        "Relation",
        range(2 * kg.num_relations),
        format_func=lambda number: snapshots.relation_label(kg, number),
        key="map_relation",
        on_change=lambda: place.choose("relation", kg.relation_name(st.session_state["map_relation"])),
        help="Type to search. A name with ⁻¹ is the same relation read backwards: its answers are heads, so its fakes "
        "are fake heads.",
    )


def _epoch_choice(time: Address, run: Run, epochs: list[int], epoch: int | None) -> None:
    newest = epochs[-1]
    if len(epochs) == 1:
        st.text_input("Epoch", f"{newest:,}", disabled=True, help="The run has one snapshot so far.")
        return

    def chosen() -> None:
        picked = st.session_state["map_epoch_slider"]
        time.choose("epoch", None if picked == newest else str(picked))

    st.session_state["map_epoch_slider"] = newest if epoch is None else epoch
    st.select_slider(
        "Epoch" + (" · following the newest" if epoch is None and run.is_live else ""),
        epochs,
        format_func=lambda number: f"{number:,}",
        key="map_epoch_slider",
        on_change=chosen,
        help="Snapshots of the run; 0 is before training. At its right end the slider follows a run as it trains.",
    )


def _choice(
    place: Address, name: str, label: str, options: dict[str, str], value: str, key: str, words: str
) -> None:
    st.session_state[key] = value
    st.segmented_control(
        label,
        list(options),
        format_func=options.__getitem__,
        key=key,
        required=True,
        on_change=lambda: place.choose(name, st.session_state[key]),
        help=words,
    )


def _layer_choice(place: Address, kg: KnowledgeGraph, layers: list[str], frame: Frame) -> None:
    offered = [name for name in map_figure.LAYERS if frame.has_fakes or name not in ("G_E", "G_R")]

    def chosen() -> None:
        # Layers that this run has no points for stay chosen, for the next run that has.
        hidden = [name for name in layers if name not in offered]
        names = [name for name in map_figure.LAYERS if name in (*st.session_state["map_layers"], *hidden)]
        place.choose("layers", ",".join(names) or "none")

    st.session_state["map_layers"] = [name for name in layers if name in offered]
    st.pills(
        "Layers",
        offered,
        selection_mode="multi",
        format_func=map_figure.LAYERS.__getitem__,
        key="map_layers",
        on_change=chosen,
        label_visibility="collapsed",
    )


# --- what is shown ---------------------------------------------------------------------------------------------


def _show_words(view: RelationView, frame: Frame, run: Run) -> None:
    lines = []
    if frame.has_fakes and not {"G_E", "G_R"} & set(view.negatives):
        lines.append("Neither pathway made fakes for this relation in this snapshot.")
    elif not frame.has_fakes and run.config.sampler == "uniform":
        lines.append(
            "This run trains with random negatives only, so there are no fakes: shown are its entities and one random "
            "negative for each query."
        )
    elif frame.has_fakes and frame.epoch <= run.config.warmup_epochs:
        lines.append(
            f"Warm-up lasts to epoch {run.config.warmup_epochs:,}: the GAN has learned nothing yet, and these fakes "
            "are what it makes by chance."
        )
    lines += [
        f"{_MARKS[source]} {snapshots.summary(part, view.side)}" for source, part in view.negatives.items()
    ]
    st.markdown("  \n".join(lines))
    few = len(view.answers)
    if few <= FEW:
        st.caption(
            f"This relation has {snapshots.count(few, 'distinct ' + view.side)} in train: a picture of a handful, "
            "where almost any fake looks like the same few entities."
        )


def _show_picture(
    view: RelationView, frame: Frame, picture: Picture, kg: KnowledgeGraph, layers: list[str], by_opinion: bool,
    found: int | None,
) -> None:  # fmt: skip
    # One line is always there, so that the picture does not jump when UMAP arrives.
    if picture.waiting is not None:
        long = "" if loading.projector().warm else " (about 20 seconds the first time, while UMAP warms up)"
        st.caption(f":material/progress_activity: PCA for the moment; UMAP is being computed{long}.")
    elif picture.problem is not None:
        st.caption(f":material/error: Shown is PCA, since UMAP failed: {shell.plain(picture.problem, 200)}")
    else:
        st.caption(f":material/check: {_origin(picture.shown, frame)}")
    touch = "Mobi" in (st.context.headers.get("User-Agent") or "")
    chart = map_figure.figure(
        view,
        frame,
        picture.shown,
        kg,
        layers,
        by_opinion,
        found,
        # A finger on the picture must scroll the page.
        drag=False if touch else "zoom",
    )
    event = st.plotly_chart(
        chart,
        key="map_chart",
        on_select="rerun",
        selection_mode=("box", "lasso"),
        config={"displaylogo": False, "showSendToCloud": False, "modeBarButtonsToRemove": ["autoScale2d"]},
        alt=map_figure.alt(view, frame, picture.shown, kg, layers),
    )
    points = event["selection"]["points"] if event else []
    if points:
        _show_table(
            map_figure.chosen_rows(points, view, picture.shown, kg), "What you selected", "map_selected"
        )


def _origin(shown: Projection, frame: Frame) -> str:
    """What the picture was made of."""
    what = "entities and fakes" if frame.has_fakes else "entities"
    if shown.placed < frame.size:
        return (
            f"{METHODS[shown.method]} of {shown.placed:,} of {frame.size:,} {what} of epoch {frame.epoch:,}, this "
            "relation’s first; places differ between relations."
        )
    many = f" At most {map_figure.MOST_POINTS:,} are drawn of each kind." if frame.size > 10_000 else ""
    return (
        f"{METHODS[shown.method]} of all {what} of epoch {frame.epoch:,} together; places are the same for every "
        f"relation.{many}"
    )


def _show_beside(
    place: Address, picture: Picture, view: RelationView, frame: Frame, kg: KnowledgeGraph, colour: str,
    found: int | None, layers: list[str],
) -> None:  # fmt: skip
    one, two, three = st.columns([2, 5, 5], gap="medium")
    with one:
        trust = picture.shown.trust
        st.metric(
            "Trustworthiness",
            "–" if math.isnan(trust) else f"{trust:.2f}",
            help=f"How many of a point’s {TRUST_NEIGHBOURS} neighbours in the picture are neighbours in all dimensions:"
            " 1 is all, 0.5 what chance gives. Below 0.9, do not trust who stands beside whom.",
        )
        if not math.isnan(picture.shown.explained):
            st.caption(f"Two directions hold {picture.shown.explained:.0%} of the variance.")
    with two:
        st.markdown(_MISREAD[picture.shown.method])
    with three:
        _find(place, frame, kg, found)
        if frame.has_fakes:
            _choice(place, "colour", "Colour", COLOURS, colour, "map_colour",
                    "By source, or by how real D_adv believes each point to be.")  # fmt: skip
    with st.expander(
        "The negatives as a table", icon=":material/table:", key="map_table_open", on_change="rerun"
    ) as opened:
        if opened.open:
            _show_table(map_figure.table(view, kg, layers), None, "map_table")


def _find(place: Address, frame: Frame, kg: KnowledgeGraph, found: int | None) -> None:
    st.session_state["map_entity"] = found

    def chosen() -> None:
        picked = st.session_state["map_entity"]
        place.choose("entity", None if picked is None else kg.entities[picked])

    st.selectbox(
        "Find an entity",
        range(kg.num_entities),
        format_func=kg.entities.__getitem__,
        key="map_entity",
        placeholder="Type a name to ring it on the map",
        on_change=chosen,
    )
    if found is not None:
        near = ", ".join(
            f"{shell.plain(kg.entities[i], 40)} ({cosine:.2f})"
            for i, cosine in snapshots.neighbours(frame, found)
        )
        st.caption(f"Nearest in all dimensions, by cosine: {near}.")


def _show_table(rows: pd.DataFrame, title: str | None, key: str) -> None:
    if title:
        st.markdown(f"**{title}** · {snapshots.count(len(rows), 'point')}")
    st.dataframe(
        rows,
        hide_index=True,
        key=key,
        height="content" if len(rows) < 9 else 340,
        column_config={
            "source": st.column_config.TextColumn("Source", help="Who made it."),
            "made for": st.column_config.TextColumn(
                "Made for", help="The entity of the query it was made for."
            ),
            "nearest entity": st.column_config.TextColumn(
                "Nearest entity", help="By cosine, over all entities."
            ),
            "cosine": st.column_config.NumberColumn("Cosine", format="%.2f", help="To the nearest entity."),
            "length": st.column_config.NumberColumn(
                "Length",
                format="× %.2f",
                help="Against the median length of an entity. The cosine does not see it.",
            ),
            "D_adv": st.column_config.NumberColumn("D_adv", format="%.2f", help="Probability “real”."),
            "known fact": st.column_config.TextColumn(
                "Known fact",
                help="The split in which head, relation and nearest entity are a fact: a false negative.",
            ),
        },
        alt="Table of the negatives on the map.",
    )


# --- waiting ---------------------------------------------------------------------------------------------------


def _watch(run: Run, epochs: list[int]) -> None:
    """Run the page again when UMAP arrives or a live run has a new snapshot; quiet otherwise."""
    waiting = st.session_state.get("map_waiting") if epochs else None
    live = run.is_live or run.status.state == "queued"
    every = 0.7 if waiting is not None else 2.0 if live else None

    @st.fragment(run_every=every)
    def tick() -> None:
        ready = waiting is not None and not loading.projector().busy(waiting)
        ended = live and not run.is_live and run.status.state != "queued"
        if ready or ended or (live and [epoch for epoch, _ in run.snapshots()] != epochs):
            st.rerun()

    if every is not None:
        tick()


shell.guard()
show()
