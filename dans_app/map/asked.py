"""What the address of the screen Map asks for, checked against the run, its snapshots and the graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dans_app.map import view
from dans_app.shared import url_values
from dans_app.shared.address import Address
from dans_core.kg import KnowledgeGraph
from dans_lab.map import plate as map_plate
from dans_lab.map.projection import Method
from dans_lab.runs.frames import Frame
from dans_lab.runs.run import Run

MOST_SELECTED = 40
"""Selected points that an address holds."""

_HEARD = "map_heard"
"""Session key: what the browser told last of what was done on the map."""


@dataclass(frozen=True)
class Asked:
    """What is to be shown of a run.

    Attributes:
        place, own: the address, and the part of it that means something for this run alone.
        epochs: the snapshots on the map, ascending; `newest` is the last of them, read.
        epoch: the one to begin with; None follows the newest.
        method, colour, layers: names of `map_plate.NAMES`, `COLOURS` and `map_plate.LAYERS`.
        field: whether D_adv's is drawn.
        found: ids of the entities that were searched for.
        selection: keys of the selected points.
    """

    run: Run
    kg: KnowledgeGraph
    place: Address
    own: Address
    epochs: list[int]
    newest: Frame
    relation: int
    epoch: int | None
    method: Method
    colour: str
    field: bool
    layers: list[str]
    found: list[int]
    selection: list[str]

    @property
    def shown(self) -> int:
        """The epoch on the screen."""
        return self.epochs[-1] if self.epoch is None else self.epoch

    @property
    def now(self) -> int:
        """Its place among the epochs."""
        return self.epochs.index(self.shown)

    @property
    def relation_name(self) -> str:
        """The relation by name, with ⁻¹ if it is a reciprocal."""
        return self.kg.relation_name(self.relation)

    @property
    def token(self) -> str:
        """Another one where the map begins anew."""
        return _token(self.run, self.kg, self.own)

    def colours(self) -> list[str]:
        """What this run can tell by colour: D_adv and D_aux only if it has them."""
        return map_plate.colours_of(self.newest)


def checked(
    run: Run, kg: KnowledgeGraph, there: list[int], epochs: list[int], newest: Frame, key: str
) -> Asked:
    """Read the address, keep in it what is really shown, and complain there of what cannot be.

    `there` are the epochs of all snapshots, `epochs` those on the map, `key` that of the map, whose browser may have
    told what the person did.
    """
    place, own = Address("map", kg.hash), Address("map", run.id, "epoch")
    if at := view.state(key, _token(run, kg, own)):
        _follow(place, own, at)
    relation = place.said(url_values.relation(place.raw("relation"), kg))
    epoch = own.said(url_values.epoch(own.raw("epoch"), there))
    if epoch is not None:
        # Of a long run the map holds some snapshots, and the one asked for may not be among them.
        epoch = max(each for each in epochs if each <= epoch)
    method = place.said(url_values.one_of(place.raw("projection"), "projection", list(map_plate.NAMES)))
    colour = place.said(url_values.one_of(place.raw("colour"), "colour", list(map_plate.COLOURS)))
    field = place.said(url_values.one_of(place.raw("field"), "field", ["off", "on"]))
    layers = place.said(
        url_values.some_of(place.raw("layers"), "layer", list(map_plate.LAYERS), map_plate.DEFAULT_LAYERS)
    )
    found = place.said(url_values.matching(place.raw("find"), kg))
    selection = [
        f"{source}:{number}" for source, number in map_plate.parse((own.raw("selection") or "").split(","))
    ]
    place.keep("relation", kg.relation_name(relation))
    place.keep("projection", None if method == "umap" else method)
    place.keep("colour", None if colour == "layer" else colour)
    place.keep("field", None if field == "off" else field)
    place.keep("layers", None if tuple(layers) == map_plate.DEFAULT_LAYERS else ",".join(layers) or "none")
    own.keep("epoch", None if epoch is None else str(epoch))
    own.keep("selection", ",".join(selection[:MOST_SELECTED]) or None)
    asked = Asked(
        run, kg, place, own, epochs, newest, relation, epoch, method, colour, field == "on", layers,
        found, selection,
    )  # fmt: skip
    return _possible(asked)


def _possible(asked: Asked) -> Asked:
    """The same with what this run has nothing for left out; the address keeps it for the next run."""
    colour = asked.colour if asked.colour in asked.colours() else "layer"
    return dataclasses.replace(asked, colour=colour, field=asked.field and asked.newest.has_fakes)


def _token(run: Run, kg: KnowledgeGraph, own: Address) -> str:
    return f"{run.id} {kg.hash[:12]} {own.visit}"


def _follow(place: Address, own: Address, at: Mapping[str, Any]) -> None:
    """Into the address what the person did on the map, where the browser has told something new."""
    if st.session_state.get(_HEARD) == at:
        return
    st.session_state[_HEARD] = at
    layers = [name for name in map_plate.LAYERS if name in at["layers"]]
    own.choose("epoch", None if at["epoch"] is None else str(at["epoch"]))
    place.choose("layers", ",".join(layers) or "none")
    keys = [f"{source}:{number}" for source, number in map_plate.parse(at["selection"])]
    own.choose("selection", ",".join(keys) or None)
