"""Intervals, p-values and Holm's correction against slow and exact ways to the same numbers."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dans_core.events import Ranking
from dans_core.ranking import Metrics
from dans_data.metrics import TERMS
from dans_lab.names import METRICS
from dans_lab.study.statistics import crossed, holm, paired
from tests.examples import examples


def ranks(n: int, seed: int, sides: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).geometric(0.4, (n, sides)).astype(float)


def test_the_metrics_are_those_of_the_ranking():
    # Halves come from ties.
    some = ranks(200, 0) + np.random.default_rng(1).integers(2, size=(200, 2)) / 2
    expected = Metrics.of(torch.from_numpy(some))
    assert list(TERMS) == ["mrr", "hits_at_1", "hits_at_3", "hits_at_10", "ndcg_at_5"]
    by_hand = {
        "mrr": lambda rank: 1 / rank,
        "hits_at_1": lambda rank: 1.0 if rank <= 1 else 0.0,
        "hits_at_3": lambda rank: 1.0 if rank <= 3 else 0.0,
        "hits_at_10": lambda rank: 1.0 if rank <= 10 else 0.0,
        "ndcg_at_5": lambda rank: 1 / math.log2(1 + rank) if rank <= 5 else 0.0,
    }
    for name, metric in TERMS.items():
        assert metric(some).shape == some.shape
        terms = [by_hand[name](rank) for rank in some.flatten()]
        np.testing.assert_allclose(metric(some).flatten(), terms, rtol=1e-15)
        assert sum(terms) / len(terms) == pytest.approx(getattr(expected, name))


def test_every_list_of_metrics_names_the_same_ones():
    fields = [field.name for field in dataclasses.fields(Ranking) if field.name in TERMS]
    assert list(TERMS) == list(METRICS) == fields
    assert [field.name for field in dataclasses.fields(Metrics)] == [*TERMS, "count"]


# --- the interval


def test_the_interval_is_that_of_a_bootstrap_written_as_a_loop():
    a, b = 1 / ranks(40, 2), 1 / ranks(40, 3)
    random = np.random.default_rng(4)
    means = []
    for _ in range(4000):
        total = 0.0
        for _ in range(40):
            row = random.integers(40)
            total += sum(b[row]) - sum(a[row])
        means.append(total / 80)
    found = paired(a, b)
    assert found.mean == pytest.approx(b.mean() - a.mean())
    width = found.high - found.low
    assert (found.low, found.high) == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.08 * width)


@pytest.mark.parametrize(("n", "ones"), [(30, 3), (200, 60), (3000, 1400)])
def test_the_interval_is_exact_where_all_differences_are_0_or_1(n, ones):
    """Then n times the mean of a resample is binomial; 3000 rows take several blocks."""
    found = paired(np.zeros(n), np.arange(n) < ones)
    for end, share in ((found.low, 0.025), (found.high, 0.975)):
        below, above = stats.binom.ppf([share - 0.006, share + 0.006], n, ones / n) / n
        assert below - 1e-9 <= end <= above + 1e-9


def test_the_interval_is_that_of_scipy():
    a, b = 1 / ranks(60, 5, sides=1)[:, 0], 1 / ranks(60, 6, sides=1)[:, 0]
    theirs = stats.bootstrap((b - a,), np.mean, n_resamples=10_000, method="percentile", rng=7)
    found = paired(a, b)
    expected = theirs.confidence_interval
    assert (found.low, found.high) == pytest.approx(expected, abs=0.05 * (found.high - found.low))


def test_intervals_hold_the_truth_as_often_as_they_say():
    random = np.random.default_rng(8)
    differences = random.exponential(size=(300, 100)) - 0.5
    found = [paired(np.zeros(100), row, draws=400) for row in differences]
    held = sum(each.low <= 0.5 <= each.high for each in found)
    assert 0.90 * 300 <= held <= 0.98 * 300


def test_the_two_sides_of_a_triplet_stay_together():
    a, b = 1 / ranks(300, 9, sides=1), 1 / ranks(300, 10, sides=1)
    one, twice = paired(a, b), paired(np.hstack([a, a]), np.hstack([b, b]))
    assert twice == one, "saying each number twice tells nothing new"
    apart = paired(np.concatenate([a, a]), np.concatenate([b, b]))
    assert (apart.high - apart.low) * math.sqrt(2) == pytest.approx(one.high - one.low, rel=0.1)


# --- the p-value


@pytest.mark.parametrize("n", [1, 2, 5, 9, 13])
def test_p_is_exact_for_few_rows(n):
    random = np.random.default_rng(n)
    a, b = random.normal(size=n), random.normal(0.7, 1, size=n)
    difference = b - a
    seen = abs(difference.sum())
    ways = list(itertools.product([-1, 1], repeat=n))
    as_far = sum(
        abs(sum(s * d for s, d in zip(way, difference, strict=True))) >= seen - 1e-12 for way in ways
    )
    assert paired(a, b).p == pytest.approx(as_far / len(ways))


def test_p_is_that_of_scipy_where_it_is_drawn():
    a, b = 1 / ranks(150, 11), 1 / ranks(150, 12)
    b[:, 0] = np.minimum(1, b[:, 0] + 0.05)
    theirs = stats.permutation_test(
        (b.mean(1), a.mean(1)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        n_resamples=10_000,
        vectorized=True,
        rng=13,
    )
    assert 0.05 < theirs.pvalue < 0.95
    assert paired(a, b).p == pytest.approx(theirs.pvalue, abs=0.02)


def test_false_alarms_are_as_rare_as_p_says():
    random = np.random.default_rng(14)
    p = np.array([paired(*random.exponential(size=(2, 40)), draws=300).p for _ in range(400)])
    for level in (0.05, 0.2, 0.5):
        assert abs((p <= level).mean() - level) < 3.5 * math.sqrt(level * (1 - level) / 400)


def test_five_seeds_cannot_be_surer_than_their_number_allows():
    assert paired(np.zeros(5), np.arange(1.0, 6)).p == 2 / 2**5


def test_p_is_never_quite_nothing():
    assert paired(np.zeros(100), np.ones(100)).p == pytest.approx(1 / 10_001)


# --- what always holds

pairs = st.integers(0, 2**32 - 1).flatmap(
    lambda seed: st.integers(1, 60).map(lambda n: (1 / ranks(n, seed), 1 / ranks(n, seed + 1)))
)


@examples(40)
@given(pairs, st.integers(0, 99))
def test_turned_round_the_difference_turns_its_sign(pair, seed):
    there, back = paired(*pair, draws=300, seed=seed), paired(*reversed(pair), draws=300, seed=seed)
    assert (there.mean, there.low, there.high) == pytest.approx(
        (-back.mean, -back.high, -back.low), abs=1e-12
    )
    assert there.p == back.p and there.count == back.count == len(pair[0])
    assert 0 < there.p <= 1
    assert there.low <= there.high
    assert there == paired(*pair, draws=300, seed=seed)


@examples(20)
@given(pairs)
def test_the_same_numbers_differ_by_nothing(pair):
    found = paired(pair[0], pair[0], draws=100)
    assert (found.mean, found.low, found.high, found.p) == (0, 0, 0, 1)


@pytest.mark.parametrize(
    ("a", "b"), [([], []), (np.zeros((0, 2)), np.zeros((0, 2))), ([1, 2], [1]), ([1, math.nan], [1, 2])]
)
def test_what_is_no_pair_of_numbers_is_refused(a, b):
    with pytest.raises(ValueError, match=r"pairs of numbers|not finite"):
        paired(a, b)


# --- over seeds and triplets


def layout(
    seeds: int, triplets: int, sd_seeds: float, sd_triplets: float, sd_rest: float, random
) -> np.ndarray:
    """Differences with a part of each seed, a part of each triplet and a rest, shape (seeds, triplets)."""
    return (
        random.normal(0, sd_seeds, (seeds, 1))
        + random.normal(0, sd_triplets, (1, triplets))
        + random.normal(0, sd_rest, (seeds, triplets))
    )


def against_nothing(differences: np.ndarray):
    return crossed(np.zeros_like(differences), differences)


REGIMES = {
    "only seeds": (0.01, 0.0, 0.0),
    "only triplets": (0.0, 0.3, 0.0),
    "only the rest": (0.0, 0.0, 0.3),
    "triplets and rest": (0.0, 0.3, 0.3),
    "seeds and rest": (0.01, 0.0, 0.3),
    "as measured": (0.005, 0.3, 0.3),
    "all alike": (0.012, 0.3, 0.3),
    "few triplets differ": (0.01, 0.1, 0.1),
}


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("regime", REGIMES)
def test_intervals_over_seeds_and_triplets_hold_the_truth(regime, seeds):
    """Nothing is true here but the chance differences, so an interval without 0 is a false alarm."""
    random = np.random.default_rng([seeds, *regime.encode()])
    found = [against_nothing(layout(seeds, 600, *REGIMES[regime], random)) for _ in range(800)]
    covered = np.mean([each.low <= 0 <= each.high for each in found])
    alarms = np.mean([each.p < 0.05 for each in found])
    assert covered >= 0.93 and alarms <= 0.065
    assert covered == pytest.approx(1 - alarms)


def test_a_difference_that_is_there_is_found():
    random = np.random.default_rng(20)
    found = [against_nothing(0.04 + layout(5, 600, 0.005, 0.3, 0.3, random)) for _ in range(400)]
    assert np.mean([each.p < 0.05 for each in found]) > 0.7


def test_skewed_differences_are_covered_too():
    """Most triplets keep their rank and few move far, as when two models differ by hits at 1."""
    random = np.random.default_rng(21)
    held = 0
    for _ in range(800):
        share = random.beta(0.2, 1.8, (1, 600))
        moved = random.random((5, 600)) < share
        found = against_nothing(moved * 1.0)
        held += found.low <= 0.1 <= found.high
    assert held >= 0.93 * 800


def bootstrap(differences: np.ndarray, draws: int, random) -> np.ndarray:
    """Means of the table of S − 1 drawn seeds and n − 1 drawn triplets, written as a loop."""
    seeds, triplets = differences.shape
    found = []
    for _ in range(draws):
        rows, columns = random.integers(seeds, size=seeds - 1), random.integers(triplets, size=triplets - 1)
        found.append(differences[rows][:, columns].mean())
    return np.array(found)


def test_the_variances_are_those_of_the_two_way_bootstrap():
    random = np.random.default_rng(22)
    differences = layout(6, 40, 0.1, 0.5, 0.3, random)
    drawn = bootstrap(differences, 20_000, random)
    rows, columns = differences.mean(1), differences.mean(0)
    of_seeds, of_triplets = rows.var(ddof=1) / 6, columns.var(ddof=1) / 40
    rest = differences - rows[:, None] - columns + differences.mean()
    once = (rest**2).sum() / (5 * 39) / 240
    assert drawn.var() == pytest.approx(of_seeds + of_triplets + once, rel=0.05)
    found = against_nothing(differences)
    t = stats.t.ppf(0.975, [5, 39]) ** 2
    assert found.mean == pytest.approx(differences.mean())
    assert found.high - found.mean == pytest.approx(math.sqrt(t @ [of_seeds, of_triplets - once]))
    assert (found.count, found.seeds) == (40, 6)


def test_where_only_seeds_differ_it_is_the_paired_t_test():
    random = np.random.default_rng(23)
    by_seed = random.normal(0.3, 1, 5)
    found = against_nothing(np.repeat(by_seed[:, None], 70, axis=1))
    expected = stats.ttest_1samp(by_seed, 0)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()))


def test_one_seed_speaks_of_the_triplets_alone():
    random = np.random.default_rng(24)
    a, b = random.normal(size=(2, 1, 50, 2))
    found, expected = crossed(a, b), stats.ttest_rel(b[0].mean(1), a[0].mean(1))
    assert found.seeds == 1 and found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()))


def test_where_only_triplets_differ_it_is_the_t_test_over_them_whatever_the_seeds():
    random = np.random.default_rng(25)
    by_triplet = random.normal(0.1, 1, 80)
    found, expected = against_nothing(np.tile(by_triplet, (4, 1))), stats.ttest_1samp(by_triplet, 0)
    assert found.p == pytest.approx(expected.pvalue)


def test_a_single_number_says_nothing_and_equal_ones_say_all():
    one = crossed([[0.0]], [[0.2]])
    assert (one.mean, one.low, one.high, one.p) == (0.2, -math.inf, math.inf, 1.0)
    same = crossed(np.zeros((3, 4)), np.zeros((3, 4)))
    assert (same.mean, same.low, same.high, same.p) == (0, 0, 0, 1)
    sure = crossed(np.zeros((3, 4)), np.ones((3, 4)))
    assert sure.p < 1e-20 and sure.low == sure.high == 1


shapes = st.tuples(st.integers(1, 6), st.integers(2, 30), st.integers(1, 2))


@examples(60)
@given(shapes, st.integers(0, 2**32 - 1))
def test_what_leaves_a_crossed_comparison_as_it_is(shape, seed):
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, *shape)) + random.normal(size=(2, shape[0], 1, 1))
    found = crossed(a, b)
    back = crossed(b, a)
    assert (back.mean, back.low, back.high, back.p) == (-found.mean, -found.high, -found.low, found.p)
    close = pytest.approx((found.mean, found.low, found.high, found.p), rel=1e-6, abs=1e-9)
    shuffled = random.permutation(shape[1]), random.permutation(shape[0])
    others = [
        crossed(a + 3.7, b + 3.7),
        crossed(a[:, shuffled[0]], b[:, shuffled[0]]),
        crossed(a[shuffled[1]], b[shuffled[1]]),
        crossed(a[..., ::-1], b[..., ::-1]),
        crossed(a.mean(2), b.mean(2)),
    ]
    for other in others:
        assert (other.mean, other.low, other.high, other.p) == close
    moved = crossed(a, b + 0.5)
    assert (moved.mean, moved.low, moved.high) == pytest.approx(
        (found.mean + 0.5, found.low + 0.5, found.high + 0.5)
    )
    assert (found.p < 0.05) == (not found.low <= 0 <= found.high)
    assert found.low <= found.mean <= found.high and 0 < found.p <= 1


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.zeros((0, 3)), np.zeros((0, 3))),
        (np.zeros((3, 0)), np.zeros((3, 0))),
        (np.zeros((2, 3)), np.zeros((3, 3))),
        (np.zeros(3), np.zeros(3)),
        (np.zeros((2, 2)), np.full((2, 2), math.nan)),
    ],
)
def test_what_is_no_layout_of_pairs_is_refused(a, b):
    with pytest.raises(ValueError, match=r"pairs of numbers|not finite"):
        crossed(a, b)


# --- several comparisons


def rejected(p: list[float], level: float) -> set[int]:
    """Holm's procedure by its own words: reject in ascending order until one is too large."""
    found: set[int] = set()
    for step, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[index] > level / (len(p) - step):
            break
        found.add(index)
    return found


@examples(100)
@given(st.lists(st.floats(1e-4, 1), max_size=8))
def test_a_corrected_p_value_is_the_level_at_which_it_is_rejected(p):
    corrected = holm(p)
    assert len(corrected) == len(p)
    for index, value in enumerate(corrected):
        assert p[index] <= value <= 1
        assert value == 1 or index in rejected(p, value * (1 + 1e-9))
        assert index not in rejected(p, value * (1 - 1e-9))


def test_one_p_value_needs_no_correction():
    assert holm([0.03]) == [0.03] and holm([]) == []
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
