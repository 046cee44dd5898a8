"""Two dimensions for the map: one joint PCA or UMAP of all entities and fakes of a snapshot, kept on disk.

Entities and fakes are always fitted together. Placing fakes into a picture fitted on entities alone pulls far ones
towards the crowd, and so flatters bad negatives. One fit serves every relation, so places stay put when the
relation changes. PCA takes milliseconds and is there at once; UMAP takes seconds and is computed by a process of its
own, `python -m dans_app.projection`, one picture at a time. No Streamlit here.
"""

from __future__ import annotations

import hashlib
import secrets
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from dans_app import aside

Points = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Method = Literal["umap", "pca"]

VERSION = 1
"""Part of every key: raise it when a change here moves points, and old pictures are no longer used."""

SMALLEST_UMAP = 15
"""Fewer points than this have no neighbourhoods to speak of (and three raise inside scipy): PCA is used."""

LARGEST_UMAP = 3000
"""More points than this take a core too long; a sample around the chosen relation is fitted instead."""

NEIGHBOURS = 15
MIN_DISTANCE = 0.4
"""Room between neighbours, of UMAP's 0 … 1: with its usual 0.1 a cloud of entities is a blot."""

TRUST_NEIGHBOURS = 10
_TRUST_SAMPLE = 2000


@dataclass(frozen=True, eq=False)
class Projection:
    """Where everything in a snapshot is drawn.

    Attributes:
        method: what was used in the end; a request for UMAP of a handful of points is answered with PCA.
        points: shape (n, 2); entities first, then fakes of G_E, then of G_R. NaN for points left out of a sample.
        trust: trustworthiness, 0 … 1: how many of a point's neighbours here are neighbours in all dimensions
            (Venna & Kaski 2001); NaN for fewer than four points.
        explained: share of the variance that the two directions of a PCA hold; NaN for UMAP.
    """

    method: Method
    points: Points
    trust: float
    explained: float

    @property
    def placed(self) -> int:
        """How many points have a place."""
        return int((~np.isnan(self.points[:, 0])).sum())

    def frame(self, margin: float = 0.07) -> tuple[tuple[float, float], tuple[float, float]]:
        """Axis ranges that hold every point, the same for every relation."""
        shown = self.points[~np.isnan(self.points[:, 0])]
        if not len(shown):
            return (-1.0, 1.0), (-1.0, 1.0)
        low, high = shown.min(axis=0), shown.max(axis=0)
        room = np.maximum((high - low) * margin, 1e-3)
        return (float(low[0] - room[0]), float(high[0] + room[0])), (
            float(low[1] - room[1]),
            float(high[1] + room[1]),
        )


# --- the two projections ---------------------------------------------------------------------------------------


def pca(
    groups: Sequence[npt.NDArray[np.floating]], previous: Points | None = None, trust: bool = True
) -> Projection:
    """The two directions of largest variance, each group counting the same.

    `groups` are entities, fakes of G_E, fakes of G_R, each (n, dim), possibly empty. Weighted alike, since hundreds
    of fakes beside a hundred entities would otherwise choose the picture. `previous` are the entities' places at the
    snapshot before, (N, 2): the picture is turned or mirrored to match, so that it does not jump between epochs.
    """
    points = _stack(groups)
    weights = np.concatenate([np.full(len(group), 1.0 / len(group)) for group in groups if len(group)])
    weights /= weights.sum()
    centred = points - weights @ points
    # The covariance is dim × dim however many points there are, so 40,000 entities cost no more than 400.
    values, vectors = np.linalg.eigh((centred * weights[:, None]).T @ centred)
    flat = centred @ vectors[:, ::-1][:, :2]
    if flat.shape[1] < 2:
        flat = np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))
    total = float(values.clip(min=0).sum())
    real = total > 1e-12 * float(weights @ (points**2).sum(axis=1))
    explained = float(values[::-1][:2].clip(min=0).sum()) / total if real else float("nan")
    flat = _turn(flat, flat[: len(groups[0])], previous)
    return Projection(
        "pca", flat.astype(np.float32), trustworthiness(points, flat) if trust else float("nan"), explained
    )


def with_trust(made: Projection, groups: Sequence[npt.NDArray[np.floating]]) -> Projection:
    """The same picture with its trustworthiness measured; the slow half of a PCA."""
    return replace(made, trust=trustworthiness(_stack(groups), made.points))


def umap(
    groups: Sequence[npt.NDArray[np.floating]], start: Points, rows: Rows | None = None, seed: int = 0
) -> Projection:
    """A joint UMAP that starts from `start`, the places of a PCA, (n, 2); `rows` fits only these points.

    Fitted in this process, where it holds up other threads: see `umap_aside`.

    The start gives UMAP the broad layout, which it cannot find by itself, and keeps it alike between epochs.
    Raises ValueError for fewer than `SMALLEST_UMAP` points.
    """
    points = _stack(groups)
    rows = np.arange(len(points)) if rows is None else rows
    if len(rows) < SMALLEST_UMAP:
        raise ValueError(f"{len(rows)} points are too few for UMAP, which needs {SMALLEST_UMAP}")
    import umap as umap_learn

    fit = umap_learn.UMAP(
        n_neighbors=min(NEIGHBOURS, len(rows) - 1),
        min_dist=MIN_DISTANCE,
        init=_spread(start[rows], seed),
        random_state=seed,
        n_jobs=1,
        metric="precomputed",
    )
    with warnings.catch_warnings():
        # That a fit of distances cannot place other points later: it never has to.
        warnings.filterwarnings("ignore", message=".*precomputed metric")
        flat = fit.fit_transform(_distances()(points[rows].astype(np.float32)))
    flat = _turn(flat, flat, start[rows])
    placed = np.full((len(points), 2), np.nan, dtype=np.float32)
    placed[rows] = flat
    return Projection("umap", placed, trustworthiness(points[rows], flat), float("nan"))


@cache
def _distances() -> Callable[[Points], npt.NDArray[np.float64]]:
    """All distances, (n, dim) to (n, n), by UMAP's own measure of two points.

    For up to 4,096 points UMAP takes them itself, the same numbers, but by a call from Python for each pair, which
    takes as long as all the rest of the fit.
    """
    import numba
    from umap.distances import euclidean

    @numba.njit
    def distances(points: Points) -> npt.NDArray[np.float64]:
        found = np.zeros((len(points), len(points)))
        for i in range(len(points)):
            for j in range(i):
                found[i, j] = found[j, i] = euclidean(points[i], points[j])
        return found

    return distances


_PROCESS = aside.Aside(__name__)


def umap_aside(
    groups: Sequence[npt.NDArray[np.floating]], start: Points, rows: Rows | None = None, seed: int = 0
) -> Projection:
    """The same as `umap`, fitted by a process of its own. Raises RuntimeError, with the reason in words."""
    answer = _PROCESS.ask(
        start=start,
        seed=seed,
        **({} if rows is None else {"rows": rows}),
        **{f"group{number}": group for number, group in enumerate(groups)},
    )
    return _of_arrays(answer)


def _answer(request: aside.Arrays) -> aside.Arrays:
    """What the process does with a request of `umap_aside`."""
    groups = [request[name] for name in sorted(request) if name.startswith("group")]
    return _to_arrays(umap(groups, request["start"], request.get("rows"), int(request["seed"])))


def trustworthiness(points: npt.NDArray[np.floating], flat: npt.NDArray[np.floating]) -> float:
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


def _squared(points: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Squared distances, (n, n), infinite to itself."""
    points = np.asarray(points, dtype=np.float64)
    lengths = (points**2).sum(axis=1)
    found = lengths[:, None] + lengths - 2 * points @ points.T
    np.fill_diagonal(found, np.inf)
    return found


def sample_rows(total: int, focus: Rows, limit: int = LARGEST_UMAP) -> Rows:
    """Which of `total` points a UMAP fits: all up to `limit`; beyond, those of `focus` and others by chance."""
    if total <= limit:
        return np.arange(total)
    random = np.random.default_rng(0)
    focus = np.unique(focus)
    if len(focus) >= limit:
        return np.sort(random.choice(focus, limit, replace=False))
    others = np.setdiff1d(np.arange(total), focus)
    return np.sort(np.concatenate([focus, random.choice(others, limit - len(focus), replace=False)]))


def _stack(groups: Sequence[npt.NDArray[np.floating]]) -> npt.NDArray[np.float64]:
    return np.concatenate([np.asarray(group, dtype=np.float64) for group in groups if len(group)])


def _turn(
    flat: npt.NDArray[np.floating], anchors: npt.NDArray[np.floating], target: npt.NDArray[np.floating] | None
) -> npt.NDArray[np.floating]:
    """`flat` turned and mirrored, never stretched, so that `anchors` come nearest to `target` (Procrustes)."""
    if target is None:
        # No picture before this one: the heavier half to the right and to the top, so that signs do not depend on luck.
        signs = np.where(np.sum(anchors**3, axis=0) < 0, -1.0, 1.0)
        return flat * signs
    left, _, right = np.linalg.svd((anchors - anchors.mean(axis=0)).T @ (target - target.mean(axis=0)))
    return flat @ (left @ right)


def _spread(start: Points, seed: int) -> Points:
    """PCA places as UMAP wants them: about ten wide, and no two points exactly alike."""
    wide = np.abs(start).max()
    noise = np.random.default_rng(seed).normal(scale=1e-3, size=start.shape)
    return (start * (10.0 / wide if wide > 0 else 1.0) + noise).astype(np.float32)


# --- on disk ---------------------------------------------------------------------------------------------------


def key_of(method: Method, *parts: bytes | str | npt.NDArray[np.generic]) -> str:
    """A short name for exactly this picture: method, version, and everything that went into it."""
    digest = hashlib.sha256(f"{method} {VERSION}".encode())
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode() if isinstance(part, str) else part.tobytes()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:16]


def save(folder: Path, key: str, projection: Projection) -> None:
    """Keep a picture as `<key>.npz`, complete or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{key}.{secrets.token_hex(4)}.tmp"
    try:
        with temporary.open("xb") as stream:
            np.savez_compressed(stream, **_to_arrays(projection))
        temporary.replace(folder / f"{key}.npz")
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load(folders: Sequence[Path], key: str, total: int) -> Projection | None:
    """The kept picture of `total` points from the first folder that has it; None if there is none that can be read."""
    for folder in folders:
        try:
            with np.load(folder / f"{key}.npz", allow_pickle=False) as arrays:
                found = _of_arrays(arrays)
                if found.points.shape == (total, 2):
                    return found
        except (OSError, ValueError, KeyError, BadZipFile, EOFError):
            continue  # Missing, or cut short by a full disk: it is only a cache, and is made again.
    return None


def _to_arrays(projection: Projection) -> aside.Arrays:
    return {
        "method": np.array(projection.method),
        "points": projection.points,
        "trust": np.array(projection.trust),
        "explained": np.array(projection.explained),
    }


def _of_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> Projection:
    """Raises ValueError or KeyError where they are not those of a picture."""
    method = str(arrays["method"])
    if method not in ("umap", "pca"):
        raise ValueError(f"{method!r} is no projection")
    points = np.asarray(arrays["points"], dtype=np.float32)
    return Projection(
        "umap" if method == "umap" else "pca", points, float(arrays["trust"]), float(arrays["explained"])
    )


if __name__ == "__main__":
    aside.serve(_answer)
