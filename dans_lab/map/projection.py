"""Two dimensions for the map: a joint PCA, UMAP or t-SNE of entities and fakes, kept on disk.

Entities and fakes are always fitted together. Placing fakes into a picture fitted on entities alone pulls far ones
towards the crowd, and so flatters bad negatives. One fit serves every relation, so places stay put when the relation
changes; PCA and UMAP fit all snapshots of a run at once, so places can be compared between epochs. PCA takes
milliseconds and is there at once; the others take seconds.
"""

from __future__ import annotations

import hashlib
import secrets
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast, get_args
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating]
Method = Literal["umap", "tsne", "pca"]

VERSION = 2
"""Part of every key: raise it when a change here moves points, and old pictures are no longer used."""

SMALLEST = 15
"""Fewer points than this have no neighbourhoods to speak of (and three raise inside scipy): PCA is used."""

LARGEST = 3000
"""More points of a snapshot than this take a core too long; a sample around the chosen relation is fitted instead."""

LARGEST_JOINT = 45_000
"""The same for the points of all snapshots together."""

NEIGHBOURS = 15
MIN_DISTANCE = 0.4
"""Room between neighbours, of UMAP's 0 … 1: with its usual 0.1 a cloud of entities is a blot."""

SAME_POINT = 1.0
"""Weight of the link between a point and itself in the next snapshot, of UMAP's 0 … 1.

*Measured* on a UMLS run with 21 snapshots: from one to the next entities move by 0.2 to 0.7 of the picture's width
without links, and by 0.03 with them, at the same trustworthiness (0.97).
"""

FIT_EPOCHS = 100
"""Passes of UMAP over its graph, all snapshots together; a single one, whose start is poorer, gets twice as many."""

PERPLEXITY = 30.0

TRUST_NEIGHBOURS = 10
_TRUST_SAMPLE = 2000
_CELLS = 1 << 24
"""Distances in memory at once, 128 MiB: all of up to 4,096 points."""


@dataclass(frozen=True, eq=False)
class Projection:
    """Where the points of some snapshots are drawn.

    Attributes:
        method: what was used.
        epochs: the snapshots, E of them.
        rows: shape (n,), which points: entities first, then fakes of G_E, then of G_R; the same in every snapshot.
        points: shape (E, n, 2).
        trust: shape (E,), trustworthiness, 0 … 1 (Venna & Kaski 2001): 1 less what a point's neighbours here that are
            none in all dimensions take off, by their ranks; NaN where not measured, or for fewer than four points.
        explained: shape (E,), share of a snapshot's variance that a PCA's two directions hold; NaN for other methods.
    """

    method: Method
    epochs: tuple[int, ...]
    rows: Rows
    points: Points
    trust: npt.NDArray[np.float64]
    explained: npt.NDArray[np.float64]

    def frame(self, margin: float = 0.06) -> tuple[float, float, float, float]:
        """Left, right, bottom and top that hold the later half of the snapshots; of a PCA, nearly all of it.

        Young fakes, and in a PCA always a few, may lie many times as far out as the rest, which would be a dot beside
        them; they are there to be found by zooming out.
        """
        flat = self.points[len(self.epochs) // 2 :].reshape(-1, 2)
        if not len(flat):
            return -1.0, 1.0, -1.0, 1.0
        outer = 1 if self.method == "pca" else 0
        low, high = np.percentile(flat, outer, axis=0), np.percentile(flat, 100 - outer, axis=0)
        room = np.maximum((high - low) * margin, 1e-3)
        (left, bottom), (right, top) = low - room, high + room
        return float(left), float(right), float(bottom), float(top)


# --- PCA of all snapshots --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean (dim,) and second moment (dim, dim) of one snapshot's points, each group counting the same."""

    mean: npt.NDArray[np.float64]
    second: npt.NDArray[np.float64]

    @classmethod
    def of(cls, groups: Sequence[Floats]) -> Moments:
        """Of entities, fakes of G_E, fakes of G_R, each (n, dim), possibly empty.

        Weighted alike, since hundreds of fakes beside a hundred entities would otherwise choose the picture.
        """
        parts = [np.asarray(group, dtype=np.float64) for group in groups if len(group)]
        return cls(
            np.mean([part.mean(axis=0) for part in parts], axis=0),
            np.mean([part.T @ part / len(part) for part in parts], axis=0),
        )


@dataclass(frozen=True, eq=False)
class Axes:
    """The two directions (dim, 2) of largest variance over all snapshots, each counting the same, and the mean."""

    mean: npt.NDArray[np.float64]
    directions: npt.NDArray[np.float64]

    @classmethod
    def of(cls, moments: Sequence[Moments]) -> Axes:
        """The covariance is dim × dim however many points there are, so 40,000 entities cost no more than 400."""
        mean = np.mean([each.mean for each in moments], axis=0)
        covariance = np.mean([each.second for each in moments], axis=0) - np.outer(mean, mean)
        directions = np.linalg.eigh(covariance)[1][:, ::-1][:, :2]
        if directions.shape[1] < 2:
            directions = np.pad(directions, ((0, 0), (0, 1)))
        # Which way a direction points is the luck of a library; the sum of its parts decides instead.
        signs = np.where(directions.sum(axis=0) < 0, -1.0, 1.0)
        return cls(mean, directions * signs)

    def place(self, points: Floats) -> Points:
        """(n, dim) → (n, 2)."""
        return ((points - self.mean) @ self.directions).astype(np.float32)

    def explained(self, moments: Moments) -> float:
        """Share of a snapshot's own variance that the two directions hold; NaN where there is none."""
        covariance = moments.second - np.outer(moments.mean, moments.mean)
        total = float(np.trace(covariance))
        if not total > 1e-12 * float(np.trace(moments.second)):
            return float("nan")
        return float(np.trace(self.directions.T @ covariance @ self.directions)) / total


def pca(
    epochs: Sequence[int],
    rows: Rows,
    groups: Sequence[Sequence[Floats]],
    moments: Sequence[Moments],
    axes: Axes | None = None,
) -> Projection:
    """These `rows` of the snapshots along two directions, by default their own; trust is not measured.

    `groups` are each snapshot's entities and fakes as `Moments.of` takes them, and `moments` what it gave.
    """
    axes = axes or Axes.of(moments)
    return Projection(
        "pca",
        tuple(epochs),
        rows,
        np.stack([axes.place(np.concatenate(each)[rows]) for each in groups]),
        np.full(len(epochs), np.nan),
        np.array([axes.explained(each) for each in moments]),
    )


# --- UMAP and t-SNE --------------------------------------------------------------------------------------------


def umap(points: Floats, start: Floats, seed: int = 0) -> Points:
    """A joint UMAP of snapshots, (E, n, dim) → (E, n, 2), that begins at `start`, the places of a PCA.

    Neighbours are those within a snapshot; each point is linked to itself in the next one, which keeps the snapshots
    in one space. The start gives the broad layout, which UMAP cannot find by itself. Fitted in this process, where it
    holds up other threads. Raises ValueError for fewer than `SMALLEST` points.
    """
    snapshots, n, _ = points.shape
    _refuse_few(n, "UMAP")
    from scipy import sparse
    from umap.umap_ import find_ab_params, fuzzy_simplicial_set, simplicial_set_embedding

    _keep_compiled()
    random = np.random.RandomState(seed)
    count = min(NEIGHBOURS, n - 1)
    graphs = []
    for snapshot in points:
        neighbours, distances = _neighbours(snapshot, count)
        graphs.append(
            fuzzy_simplicial_set(
                snapshot, count, random, "euclidean", knn_indices=neighbours, knn_dists=distances
            )[0]
        )
    graph = sparse.block_diag(graphs, format="csr")
    if snapshots > 1:
        own = np.arange(n * (snapshots - 1))
        links = sparse.coo_matrix((np.full(len(own), SAME_POINT), (own, own + n)), shape=graph.shape)
        graph = graph + links + links.T
    a, b = find_ab_params(1.0, MIN_DISTANCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        flat, _ = simplicial_set_embedding(
            None, graph.tocoo(), 2, 1.0, a, b, 1.0, 5, FIT_EPOCHS * (2 if snapshots == 1 else 1),
            _spread(start.reshape(-1, 2), seed), random, "euclidean", {}, False, {}, False,
        )  # fmt: skip
    return turn(flat, start.reshape(-1, 2)).reshape(snapshots, n, 2).astype(np.float32)


def tsne(points: Floats, start: Floats, seed: int = 0) -> Points:
    """A t-SNE of one snapshot, (1, n, dim) → (1, n, 2), that begins at `start`, the places of a PCA.

    Raises ValueError for more than one snapshot, whose places could not be compared, or fewer than `SMALLEST` points.
    """
    snapshots, n, _ = points.shape
    if snapshots != 1:
        raise ValueError("t-SNE takes one snapshot")
    _refuse_few(n, "t-SNE")
    from sklearn.manifold import TSNE

    begin = _spread(start[0], seed)
    fit = TSNE(
        perplexity=min(PERPLEXITY, (n - 1) / 3),
        init=begin / max(float(begin[:, 0].std()), 1e-9) * 1e-4,
        random_state=seed,
        n_jobs=1,
    )
    return turn(fit.fit_transform(np.asarray(points[0], np.float32)), start[0])[None].astype(np.float32)


def turn(flat: Floats, target: Floats, anchors: slice = slice(None)) -> Floats:
    """`flat` (n, 2) turned and mirrored, never stretched, so that its anchors come nearest to `target` (Procrustes)."""
    part, goal = flat[anchors], target[anchors]
    left, _, right = np.linalg.svd((part - part.mean(axis=0)).T @ (goal - goal.mean(axis=0)))
    return flat @ (left @ right)


@cache
def _keep_compiled() -> None:
    """What numba compiles of UMAP stays on disk: each process would take some five seconds for it otherwise."""
    from umap import umap_

    for part in (umap_.smooth_knn_dist, umap_.compute_membership_strengths):
        # Where no folder can be written, it is compiled as ever.
        with suppress(RuntimeError):
            part.enable_caching()


def _refuse_few(n: int, method: str) -> None:
    if n < SMALLEST:
        raise ValueError(f"{n} points are too few for {method}, which needs {SMALLEST}")


def _neighbours(points: Floats, count: int) -> tuple[npt.NDArray[np.int64], Points]:
    """The `count` nearest of each point, itself first, and their distances; exact, (n, dim) → (n, count) each."""
    n = len(points)
    near, apart = np.empty((n, count), np.int64), np.empty((n, count), np.float32)
    step = max(1, _CELLS // n)
    for start in range(0, n, step):
        block = _squared(points, slice(start, start + step))
        own = np.arange(len(block))
        block[own, start + own] = -1.0
        found = np.argpartition(block, count - 1, axis=1)[:, :count]
        distances = np.take_along_axis(block, found, axis=1)
        order = np.argsort(distances, axis=1, kind="stable")
        near[start : start + step] = np.take_along_axis(found, order, axis=1)
        apart[start : start + step] = np.sqrt(np.take_along_axis(distances, order, axis=1).clip(min=0))
    return near, apart


def _spread(start: Floats, seed: int) -> Points:
    """PCA places as UMAP wants them: about ten wide, and no two points exactly alike."""
    wide = np.abs(start).max()
    noise = np.random.default_rng(seed).normal(scale=1e-3, size=start.shape)
    return (start * (10.0 / wide if wide > 0 else 1.0) + noise).astype(np.float32)


def fit(
    method: Method, epochs: Sequence[int], rows: Rows, points: Floats, start: Floats, seed: int = 0
) -> Projection:
    """`umap` or `tsne`, with its trust, of these `rows` of the snapshots. Raises ValueError as they do."""
    places = (tsne if method == "tsne" else umap)(points, start, seed)
    trust = np.array([trustworthiness(*pair) for pair in zip(points, places, strict=True)])
    return Projection(method, tuple(epochs), rows, places, trust, np.full(len(points), np.nan))


# --- how far to trust it ---------------------------------------------------------------------------------------


def trustworthiness(points: Floats, flat: Floats) -> float:
    """How far neighbours in `flat` (n, 2) are neighbours in `points` (n, dim); of a fixed sample when n is large.

    The same as `sklearn.manifold.trustworthiness` where no two distances are equal, without its import, which would
    hold up the first map for a second (a test compares them).
    """
    if len(points) > _TRUST_SAMPLE:
        sample = np.random.default_rng(0).choice(len(points), _TRUST_SAMPLE, replace=False)
        points, flat = points[sample], flat[sample]
    n, k = len(points), min(TRUST_NEIGHBOURS, (len(points) - 1) // 2)
    if k < 1:
        return float("nan")
    apart, apart_flat = _squared(points), _squared(flat)
    neighbours = np.argpartition(apart_flat, k - 1, axis=1)[:, :k]
    missed = 0
    for column in neighbours.T:
        nearer = np.count_nonzero(apart < apart[np.arange(n), column][:, None], axis=1)
        missed += int((nearer + 1 - k).clip(min=0).sum())
    return 1.0 - 2.0 * missed / (n * k * (2 * n - 3 * k - 1))


def _squared(points: Floats, rows: slice = slice(None)) -> npt.NDArray[np.float64]:
    """Squared distances of some points from all, (rows, n), infinite to itself."""
    points = np.asarray(points, dtype=np.float64)
    lengths = (points**2).sum(axis=1)
    found = lengths[rows, None] + lengths - 2 * points[rows] @ points.T
    own = np.arange(len(points))[rows]
    found[np.arange(len(own)), own] = np.inf
    return cast("npt.NDArray[np.float64]", found)


def sample_rows(total: int, focus: Rows, limit: int = LARGEST) -> Rows:
    """Which of `total` points are placed: all up to `limit`; beyond, those of `focus` and others by chance."""
    if total <= limit:
        return np.arange(total)
    random = np.random.default_rng(0)
    focus = np.unique(focus)
    if len(focus) >= limit:
        return np.sort(random.choice(focus, limit, replace=False))
    others = np.setdiff1d(np.arange(total), focus)
    return np.sort(np.concatenate([focus, random.choice(others, limit - len(focus), replace=False)]))


# --- on disk ---------------------------------------------------------------------------------------------------


def key_of(method: Method, *parts: bytes | str | npt.NDArray[np.generic]) -> str:
    """A short name for exactly this picture: method, version, and everything that went into it."""
    digest = hashlib.sha256(f"{method} {VERSION}".encode())
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode() if isinstance(part, str) else part.tobytes()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:16]


def save(folder: Path, key: str, projection: Projection) -> None:
    """Keep a picture as `<key>.npz`, in half precision, complete or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{key}.{secrets.token_hex(4)}.tmp"
    try:
        with temporary.open("xb") as stream:
            np.savez_compressed(
                stream,
                method=np.array(projection.method),
                epochs=np.array(projection.epochs),
                rows=projection.rows,
                points=projection.points.astype(np.float16),
                trust=projection.trust,
                explained=projection.explained,
            )
        temporary.replace(folder / f"{key}.npz")
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(folders: Sequence[Path], key: str, epochs: Sequence[int], rows: Rows) -> Projection | None:
    """The kept picture of these snapshots and rows from the first folder that has it; None if none can be read."""
    for folder in folders:
        try:
            with np.load(folder / f"{key}.npz", allow_pickle=False) as arrays:
                found = _of_arrays(arrays)
        except (OSError, ValueError, KeyError, BadZipFile, EOFError):
            continue  # Missing, or cut short by a full disk: it is only a cache, and is made again.
        if found.epochs == tuple(epochs) and np.array_equal(found.rows, rows):
            return found
    return None


def _of_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> Projection:
    """Raises ValueError or KeyError where they are not those of a picture."""
    method = str(arrays["method"])
    epochs, rows = tuple(arrays["epochs"].tolist()), arrays["rows"].astype(np.int64)
    points = np.asarray(arrays["points"], dtype=np.float32)
    trust, explained = arrays["trust"].astype(np.float64), arrays["explained"].astype(np.float64)
    if method not in get_args(Method):
        raise ValueError(f"{method!r} is no projection")
    if points.shape != (len(epochs), len(rows), 2) or not trust.shape == explained.shape == (len(epochs),):
        raise ValueError("the arrays do not fit together")
    return Projection(cast("Method", method), epochs, rows, points, trust, explained)
