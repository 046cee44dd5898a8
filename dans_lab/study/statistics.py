"""How much of a difference is luck: paired bootstraps, over seeds too, sign-flip test, Holm's correction.

Plain numpy on rank vectors, or on any numbers that come in pairs, such as one result for each seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dans_data.metrics import Floats

COVERAGE = 0.95
"""Share of the intervals that hold the true difference, in the long run."""

_LEAST = 1e-30
"""The lowest p-value that is told."""

_BLOCK = 1 << 18
"""Random numbers in memory at once: more leave the cache."""


@dataclass(frozen=True)
class Difference:
    """The mean difference of paired numbers, second minus first, and how sure it is.

    Attributes:
        mean: of all the differences.
        low, high: its 95 % interval.
        p: two-sided p-value.
        count: number of pairs that are taken as a whole: rows, or triplets.
        seeds: over how many seeds; 1 also where seeds play no part.
    """

    mean: float
    low: float
    high: float
    p: float
    count: int
    seeds: int = 1


def paired(first: npt.ArrayLike, second: npt.ArrayLike, draws: int = 10_000, seed: int = 0) -> Difference:
    """Compare two sets of numbers that belong together row by row; shape (n,) or (n, …), n at least 1.

    What shares a row stays together, as the two sides of a triplet do: rows are averaged first. The bootstrap draws
    n rows with replacement, `draws` times. The test asks how often a mean as far from 0 comes about where first and
    second change places at random in each row (Fisher's randomisation test); where there are no more than `draws`
    ways to do so, all are counted and p is exact. The same seed gives the same answer.

    The interval is too narrow below some 20 rows; with five seeds, say, rely on p, which cannot be below 2 / 2⁵ then.

    Raises:
        ValueError: for no rows, shapes that differ, or what is not a finite number.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or not a.size:
        raise ValueError(f"pairs of numbers are needed, not {a.shape} and {b.shape}")
    differences = (b - a).reshape(len(a), -1).mean(1)
    if not np.isfinite(differences).all():
        raise ValueError("some of the numbers are not finite")
    bootstrap, test = np.random.default_rng(seed).spawn(2)
    tail = 50 * (1 - COVERAGE)
    low, high = np.percentile(_resampled_means(differences, draws, bootstrap), [tail, 100 - tail])
    p = _sign_flip(differences, draws, test)
    return Difference(float(differences.mean()), float(low), float(high), p, len(differences))


def _resampled_means(values: Floats, draws: int, random: np.random.Generator) -> Floats:
    """Means of n values drawn with replacement, shape (draws,)."""
    n = len(values)
    return np.concatenate(
        [values[random.integers(n, size=(rows, n), dtype=np.int32)].mean(1) for rows in _blocks(draws, n)]
    )


def _sign_flip(differences: Floats, draws: int, random: np.random.Generator) -> float:
    """How probable a mean at least as far from 0 is, were each difference as likely to have the other sign."""
    # The sign of a 0 changes nothing.
    values = differences[differences != 0]
    m = len(values)
    # A little less than what was seen: sums in another order differ in the last digits.
    seen = abs(values.sum()) - 1e-9 * np.abs(values).sum()
    if 2**m <= draws:
        signs = 1.0 - 2 * (np.arange(2**m)[:, None] >> np.arange(m) & 1)
        return float((np.abs(signs @ values) >= seen).mean())
    as_far = 0
    for rows in _blocks(draws, m):
        bits = np.frombuffer(random.bytes(-(-rows * m // 8)), dtype=np.uint8)
        heads = np.unpackbits(bits, count=rows * m).reshape(rows, m).astype(float)
        # The sum with signs is that of the chosen ones minus that of the others.
        as_far += int((np.abs(2 * (heads @ values) - values.sum()) >= seen).sum())
    return (1 + as_far) / (1 + draws)


def _blocks(draws: int, n: int) -> Iterator[int]:
    """`draws` in parts whose random numbers, n a draw, fit in a block."""
    step = max(1, _BLOCK // n)
    for begin in range(0, draws, step):
        yield min(step, draws - begin)


def crossed(first: npt.ArrayLike, second: npt.ArrayLike) -> Difference:
    """Compare numbers of shape (seeds, triplets) or (seeds, triplets, sides) that are paired by seed and by triplet.

    It speaks of new seeds and new triplets, both drawn at random, as the two-way bootstrap does that draws seeds and
    triplets with replacement (Owen 2007, "The pigeonhole bootstrap"). With S seeds and n triplets, its 95 % interval is

        mean ± √(t²_{S−1} V_seeds + t²_{n−1} V_triplets)
        V_seeds = variance of the seeds' means / S
        V_triplets = variance of the triplets' means / n − variance of what neither explains / (S · n), at least 0

    The bootstrap's own variance, after infinitely many draws of S − 1 seeds and n − 1 triplets, is that of both means
    and of what neither explains, which it so counts three times and this once. Percentiles of its draws would not know
    how few seeds there are. Student's t for each part does: the interval then holds the truth at least as often as it
    says, however the parts are mixed (Banerjee 1960). Nothing is drawn, so there is no luck in it. p is the level at
    which the interval ends at 0: below 0.05 just when 0 is outside.

    With one seed it speaks of that seed alone, and of new triplets; a single number has no end to its interval.

    Raises:
        ValueError: for no numbers, shapes that differ or have no triplets, or what is not a finite number.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or not a.size or a.ndim not in (2, 3):
        raise ValueError(f"pairs of numbers are needed, not {a.shape} and {b.shape}")
    differences = b - a if a.ndim == 2 else (b - a).mean(2)
    if not np.isfinite(differences).all():
        raise ValueError("some of the numbers are not finite")
    mean, (seeds, triplets) = float(differences.mean()), differences.shape
    parts = _variances(differences)
    half = _half_width(parts, 1 - COVERAGE) if differences.size > 1 else math.inf
    p = _level(parts, abs(mean)) if differences.size > 1 else 1.0
    return Difference(mean, mean - half, mean + half, p, triplets, seeds)


def _variances(values: Floats) -> list[tuple[float, int]]:
    """What rows and columns of (S, n) values add to the variance of their mean, each with its degrees of freedom."""
    seeds, triplets = values.shape
    rows, columns = values.mean(1, keepdims=True), values.mean(0, keepdims=True)
    of_rows = float(np.var(rows, ddof=1)) / seeds if seeds > 1 else 0.0
    of_columns = float(np.var(columns, ddof=1)) / triplets if triplets > 1 else 0.0
    freedom = (seeds - 1) * (triplets - 1)
    rest = float(((values - rows - columns + values.mean()) ** 2).sum()) / freedom if freedom else 0.0
    found = [(of_rows, seeds - 1), (max(0.0, of_columns - rest / values.size), triplets - 1)]
    return [(variance, freedom) for variance, freedom in found if freedom]


def _half_width(parts: list[tuple[float, int]], level: float) -> float:
    """How far the interval that misses the truth with this probability reaches to either side."""
    # Not before it is needed: it would hold up the first screen.
    from scipy.special import stdtrit

    return math.sqrt(sum(variance * float(stdtrit(freedom, level / 2)) ** 2 for variance, freedom in parts))


def _level(parts: list[tuple[float, int]], distance: float) -> float:
    """The level whose interval reaches just this far, by halving; never below `_LEAST`."""
    low, high = math.log(_LEAST), 0.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (low, middle) if _half_width(parts, math.exp(middle)) < distance else (middle, high)
    return math.exp(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for being several (Holm 1979), in their order.

    Each compared with 0.05 as if it were alone, the chance of even one false alarm stays below 5 %.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    # The smallest of m counts m times, the next m − 1 times, …; none may fall below one before it.
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(steps, 1.0)
    return [float(value) for value in corrected]
