"""UMAP and t-SNE by a process of its own, `python -m dans_app.server.fitting`, one picture at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dans_app.server import helper
from dans_lab.map import projection
from dans_lab.map.projection import Floats, Method, Points, Projection, Rows

_PROCESS = helper.HelperProcess(__name__)


def fit_in_helper(
    method: Method, epochs: Sequence[int], rows: Rows, points: Floats, start: Points, seed: int = 0
) -> Projection:
    """`projection.fit` by a process of its own. Raises RuntimeError, with the reason in words."""
    answer = _PROCESS.ask(method=method, points=points, start=start, seed=seed)
    unknown = np.full(len(points), np.nan)
    return Projection(method, tuple(epochs), rows, answer["points"], answer["trust"], unknown)


def _answer(request: helper.Arrays) -> helper.Arrays:
    """What the process does with a request of `fit_in_helper`."""
    method: Method = "tsne" if str(request["method"]) == "tsne" else "umap"
    points = request["points"].astype(np.float32)
    unnamed = np.zeros(0, np.int64)
    made = projection.fit(method, range(len(points)), unnamed, points, request["start"], int(request["seed"]))
    return {"points": made.points, "trust": made.trust}


if __name__ == "__main__":
    # It works for many seconds at a time. Of a core that two others want, too, this much still leaves it a seventh.
    helper.serve(_answer, courtesy=5)
