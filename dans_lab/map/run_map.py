"""The map of a run relation by relation, as `plate.payload` takes it: snapshots read once, each picture placed once.

Plain numpy, without torch.
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from dans_core.kg import KnowledgeGraph
from dans_data.errors import InputError
from dans_lab.map import pictures, projection, relation_view
from dans_lab.map.plate import DEFAULT_LAYERS, payload, plate
from dans_lab.map.projection import Method, Moments, Projection, Rows
from dans_lab.runs.frames import Frame
from dans_lab.runs.run import Run

METHODS: tuple[Method, ...] = ("pca", "umap")
"""The projections that hold all snapshots in one space, so that epochs can be compared."""


class RunMap:
    """What the map of a run holds.

    Attributes:
        run, kg: the run and its graph.
        frames: the snapshots on the map, ascending: all of them, or evenly some of many.
    """

    def __init__(self, run: Run, kg: KnowledgeGraph) -> None:
        """Reads the snapshots; raises InputError where there are none, or files are damaged."""
        self.run = run
        self.kg = kg
        there = [epoch for epoch, _ in run.snapshots()]
        if not there:
            raise InputError(
                f"{run.path} holds no snapshots, of which a map is made; expected the folder of a run"
            )
        last = self._read(there[-1])
        epochs = pictures.shown_epochs(there, last.size, last.entities.shape[1], last.is_sample)
        self.frames: list[Frame] = [*map(self._read, epochs[:-1]), last]
        pictures.check_alike(self.frames)
        self._moments = [Moments.of(frame.groups) for frame in self.frames]
        self._placed: dict[tuple[Method, bytes], Projection] = {}

    @property
    def epochs(self) -> list[int]:
        """The epochs of the snapshots."""
        return [frame.epoch for frame in self.frames]

    @property
    def relations(self) -> list[str]:
        """All relations by name, then the reciprocals."""
        return [self.kg.relation_name(number) for number in range(2 * self.kg.num_relations)]

    def payload(self, relation: str, method: Method) -> dict[str, Any]:
        """What the script draws of a relation by name, at all snapshots; InputError for one that is not there."""
        view = relation_view.view_of(self.frames, self.kg, self.kg.relation_id(relation))
        places = self._places(method, pictures.placed_rows(self.frames, view.focus))
        picture = plate(self.run.id, self.run.id, view, self.frames, self.kg, places)
        return payload([picture], self.run.id, epoch=None, layers=DEFAULT_LAYERS)

    def _read(self, epoch: int) -> Frame:
        try:
            return Frame.of(self.run.load_snapshot(epoch), self.kg.num_entities, self.kg.num_relations)
        except InputError as error:
            raise InputError(f"run {self.run.id}, epoch {epoch}: {error}") from None

    def _places(self, method: Method, rows: Rows) -> Projection:
        """As the app has them, whose cache is read and added to."""
        known = (method, rows.tobytes())
        if known not in self._placed:
            groups = [frame.groups for frame in self.frames]
            made = projection.pca(self.epochs, rows, groups, self._moments)
            if method != "pca" and len(rows) >= projection.SMALLEST:
                made = self._fitted(method, made)
            self._placed[known] = made
        return self._placed[known]

    def _fitted(self, method: Method, start: Projection) -> Projection:
        contents = [pictures.content_of(self.run, epoch) for epoch in self.epochs]
        key, folders = projection.key_of(method, *contents, start.rows), pictures.folders(self.run)
        kept = projection.load(folders, key, self.epochs, start.rows)
        if kept is not None:
            return kept
        points = np.stack([np.concatenate(frame.groups)[start.rows] for frame in self.frames])
        made = projection.fit(method, self.epochs, start.rows, points, start.points)
        # Kept so as not to be made again, which is no part of drawing it.
        with contextlib.suppress(OSError):
            projection.save(folders[0], key, made)
        return made
