"""Maps of several runs on the same data in one space, so that places can be compared between them.

The embeddings of two runs have no axes in common, not even with the same seed for long. So each run is turned and
mirrored in all its dimensions, never stretched, until its entities come nearest to those of the first run (orthogonal
Procrustes); then one PCA holds all of them. No Streamlit here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dans_lab.map import projection
from dans_lab.map.projection import Axes, Floats, Moments, Projection
from dans_lab.runs.frames import Frame


@dataclass(frozen=True, eq=False)
class Together:
    """One projection a run, in the order given, all in one space.

    `agreement` is the share (0 … 1) of the spread of a run's entities that the first run's entities account for after
    turning, at the newest snapshots; 1 for the first.
    """

    series: dict[str, Projection]
    agreement: dict[str, float]

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top that hold all runs."""
        left, right, bottom, top = zip(*(each.frame() for each in self.series.values()), strict=True)
        return min(left), max(right), min(bottom), max(top)


def together(runs: Mapping[str, Sequence[Frame]]) -> Together:
    """From the snapshots of each run, the first run first; ValueError where the dimensions differ."""
    frames = list(runs.values())
    dims = {each[-1].entities.shape[1] for each in frames}
    if len(dims) > 1:
        raise ValueError(f"they have embeddings of {' and '.join(map(str, sorted(dims)))} dimensions")
    first = frames[0][-1]
    centre = first.entities.mean(axis=0, dtype=np.float64)
    turned: dict[str, list[list[Floats]]] = {}
    agreement = {}
    for name, shown in runs.items():
        own = shown[-1]
        # Of a large graph each keeps a sample.
        both = np.intersect1d(own.entity_ids, first.entity_ids)
        if len(both) < 2:
            raise ValueError("their snapshots have no entities in common")
        turn, middle, share = _turn(own.entities[own.rows_of(both)], first.entities[first.rows_of(both)])
        agreement[name] = share
        turned[name] = [[(group - middle) @ turn + centre for group in frame.groups] for frame in shown]
    moments = {name: [Moments.of(groups) for groups in parts] for name, parts in turned.items()}
    axes = Axes.of([each for parts in moments.values() for each in parts])
    series = {}
    for name, parts in turned.items():
        shown = runs[name]
        last = shown[-1]
        limit = last.size if last.is_sample else projection.LARGEST
        rows = projection.sample_rows(last.size, np.arange(len(last.entities)), limit)
        series[name] = projection.pca([each.epoch for each in shown], rows, parts, moments[name], axes)
    return Together(series, agreement)


def _turn(points: Floats, goal: Floats) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float]:
    """The rotation (dim, dim) of the centred points onto the centred goal, the centre, and the share accounted for."""
    middle = points.mean(axis=0, dtype=np.float64)
    own, other = points - middle, goal - goal.mean(axis=0, dtype=np.float64)
    left, sizes, right = np.linalg.svd(own.T @ other)
    spread = float((own**2).sum() * (other**2).sum())
    # The R² of the first run's entities on the turned ones, were a stretch allowed.
    share = float(sizes.sum() ** 2 / spread) if spread > 0 else 1.0
    return left @ right, middle, share
