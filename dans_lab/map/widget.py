"""The map in a notebook: an anywidget around the script by which the app draws it (extra `[notebook]`).

It imports anywidget, so nothing imports it but what shows a map.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from dans_core.kg import KnowledgeGraph
from dans_data import suggestion
from dans_data.errors import InputError
from dans_lab import scripts
from dans_lab.map.plate import COLOUR_NAMES, MISREAD, NAMES, colours_of, parse
from dans_lab.map.relation_view import busiest_relation, relation_label
from dans_lab.map.run_map import METHODS, RunMap
from dans_lab.runs.run import Run

_SCRIPT = Path(__file__).parent / "widget.js"


class MapWidget(anywidget.AnyWidget):
    """True answers, fakes and random negatives of one relation among the entities, over the snapshots of a run.

    `relation`, `projection` ("pca" or "umap"), `colour` ("layer", "hardness", "d_adv", "d_aux" or "epoch") and `field`
    may be set, and are what the person last chose. All else, such as the epoch and the layers, is the browser's.
    """

    _esm = scripts.module(_SCRIPT)

    styles = traitlets.Unicode(scripts.style(_SCRIPT)).tag(sync=True)
    relations = traitlets.List(traitlets.List(traitlets.Unicode())).tag(sync=True)
    projections = traitlets.List([[name, NAMES[name]] for name in METHODS]).tag(sync=True)
    colours = traitlets.List(traitlets.List(traitlets.Unicode())).tag(sync=True)
    relation = traitlets.Unicode().tag(sync=True)
    projection = traitlets.Unicode("pca").tag(sync=True)
    colour = traitlets.Unicode("layer").tag(sync=True)
    field = traitlets.Bool(False).tag(sync=True)
    data = traitlets.Dict().tag(sync=True)
    shown = traitlets.List(["", ""]).tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
    at = traitlets.Dict().tag(sync=True)

    def __init__(
        self, run: Run, kg: KnowledgeGraph, relation: str | None = None, projection: str = "pca"
    ) -> None:
        """The map of a run on its graph, which begins with `relation`, or the one with the most facts.

        Raises InputError: no snapshots, damaged ones, or a relation or projection that is not there.
        """
        self._map = RunMap(run, kg)
        if relation is None:
            relation = kg.relation_name(busiest_relation(kg))
        super().__init__(
            relations=[[name, relation_label(kg, number)] for number, name in enumerate(self._map.relations)],
            colours=[[name, COLOUR_NAMES[name]] for name in colours_of(self._map.frames[-1])],
            relation=relation,
            projection=projection,
        )
        self._draw()
        self.observe(self._draw, ["relation", "projection"])

    @property
    def epochs(self) -> list[int]:
        """The epochs of the snapshots on the map."""
        return self._map.epochs

    @property
    def selected(self) -> list[tuple[str, str]]:
        """The points that the person selected, by what they are ("entity", "G_E", "G_R", "random") and by name.

        Of a negative it is the name of the head that it was made for.
        """
        keys = self.at.get("selection")
        names = self._map.kg.entities
        return [
            ("entity" if source == "e" else source, names[number])
            for source, number in parse(keys if isinstance(keys, list) else [])
            if number < len(names)
        ]

    @traitlets.validate("relation", "projection", "colour")
    def _known(self, proposal: dict[str, Any]) -> str:
        name, value = proposal["trait"].name, str(proposal["value"])
        if name == "relation":
            self._map.kg.relation_id(value)
            return value
        there = METHODS if name == "projection" else colours_of(self._map.frames[-1])
        if value not in there:
            raise InputError(f"{name} {value!r}: expected {' or '.join(there)}{suggestion(value, there)}")
        return value

    def _draw(self, change: object = None) -> None:
        method = next(each for each in METHODS if each == self.projection)
        with self.hold_sync():
            self.shown = [self.relation, self.projection]
            self.note = MISREAD[method]
            self.data = self._map.payload(self.relation, method)
