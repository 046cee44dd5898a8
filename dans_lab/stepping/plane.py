"""The plane of the map: two directions of PCA, in which gradients are drawn exactly, and what share lies in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Plane:
    """A plane through the mean of the entities.

    Attributes:
        mean: (dim,). axes: (dim, 2), orthonormal.
        held: the share of the entities' variance that lies in it.
    """

    mean: Numbers
    axes: Numbers
    held: float

    @classmethod
    def of(cls, entities: Numbers, like: Plane | None = None) -> Plane:
        """The two directions of largest variance, turned within their plane so that it looks as much `like` another."""
        mean = entities.mean(0)
        _, spread, rows = np.linalg.svd(entities - mean, full_matrices=False)
        axes = rows[:2].T
        # An axis has no direction of its own; here its largest part points upwards.
        axes = axes * np.sign(axes[np.abs(axes).argmax(0), [0, 1]])
        if like is not None:
            u, _, v = np.linalg.svd(axes.T @ like.axes)
            axes = axes @ (u @ v)
        return cls(mean, axes, float((spread[:2] ** 2).sum() / (spread**2).sum()))

    def places(self, points: Numbers) -> Numbers:
        """(…, dim) → (…, 2)."""
        return (points - self.mean) @ self.axes

    def arrows(self, directions: Numbers) -> tuple[Numbers, Numbers]:
        """(n, dim) → their parts in the plane, (n, 2), and which share of the squared length these have, (n,)."""
        inside = directions @ self.axes
        whole = (directions**2).sum(-1)
        return inside, (inside**2).sum(-1) / np.where(whole > 0, whole, 1)
