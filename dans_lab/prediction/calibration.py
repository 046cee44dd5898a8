"""From shares to probabilities, fitted on valid: of answers that get 0.8, four in five should be facts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from dans_data.known import Ids
from dans_data.triplets import SPLITS
from dans_lab.inspection import Trained
from dans_lab.prediction.answers import shares_of, tail_scores

Floats = npt.NDArray[np.float64]

FEWEST = 100
"""Valid triplets below which nothing is fitted: a probability from fewer would be a guess."""

_FOREMOST, _OTHERS = 50, 50
"""Wrong candidates of a query that the fit sees: the foremost, and so many of the rest, each for its like."""

_MOST = 1000
"""Queries that the fit sees of those that valid answers, and of the others that train answers."""

_AT_ONCE = 64

BINS = 10


@dataclass(frozen=True)
class Fit:
    """The direction in which shares speak for a fact (logistic regression), and the steps along it (isotonic)."""

    weights: tuple[float, float]
    at: tuple[float, ...]
    heights: tuple[float, ...]

    def sureness(self, shares: Floats) -> Floats:
        """Of answers by their shares, (…, 2) → (…)."""
        return np.asarray(shares @ np.array(self.weights))

    def probability(self, shares: Floats) -> Floats:
        """Of answers by their shares, (…, 2) → (…)."""
        return np.interp(self.sureness(shares), self.at, self.heights)


@dataclass(frozen=True)
class Calibration:
    """A probability rises with weights · shares of an answer, in steps that were fitted (isotonic regression).

    Attributes:
        fitted: on all queries that train or valid answer.
        predicted: the mean probability in each bin, of halves of the queries that did not fit them.
        observed: the share of facts of valid there.
        answers: how many answers that is.
        error: the mean distance between the first two over the answers outside the lowest bin.
    """

    fitted: Fit
    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    answers: tuple[float, ...]
    error: float

    def probability(self, shares: Floats) -> Floats:
        """Of answers by their shares, (…, 2) → (…)."""
        return self.fitted.probability(shares)

    def sureness(self, shares: Floats) -> Floats:
        """What the probability rises with, (…, 2) → (…): it tells answers of one step apart."""
        return self.fitted.sureness(shares)


@dataclass(frozen=True)
class _Seen:
    """Candidates of queries: their shares (n, 2), whether each is a fact, for how many it stands, and its query."""

    shares: Floats
    facts: npt.NDArray[np.bool_]
    weights: Floats
    query: Ids


def calibrate(run: Trained, seed: int = 0) -> Calibration | None:
    """Fit on the facts of valid, which the model has not seen; None where these are too few.

    Facts of test are left out, as in a filtered ranking of valid: they count neither as right nor as wrong.
    """
    if len(run.kg.array("valid")) < FEWEST:
        return None
    seen = _seen(run, np.random.default_rng(seed))
    halves = [seen.query % 2 == half for half in (0, 1)]
    tried = np.empty(len(seen.shares))
    for fitted, judged in (halves, halves[::-1]):
        tried[judged] = _fit(seen, fitted).probability(seen.shares[judged])
    return Calibration(_fit(seen, np.ones_like(halves[0])), *_reliability(tried, seen))


def _fit(seen: _Seen, which: npt.NDArray[np.bool_]) -> Fit:
    from sklearn.isotonic import IsotonicRegression
    from sklearn.linear_model import LogisticRegression

    shares, facts, stands = seen.shares[which], seen.facts[which], seen.weights[which]
    line = LogisticRegression(C=1e6, max_iter=1000).fit(shares, facts, sample_weight=stands)
    first, second = line.coef_[0].tolist()
    along = shares @ np.array([first, second])
    steps = IsotonicRegression().fit(along, facts.astype(np.float64), sample_weight=stands)
    return Fit((first, second), tuple(steps.X_thresholds_.tolist()), tuple(steps.y_thresholds_.tolist()))


def _reliability(
    tried: Floats, seen: _Seen
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...], float]:
    """The bins that have answers, and the mean distance over all but the lowest."""
    bins = np.minimum((tried * BINS).astype(np.int64), BINS - 1)
    answers = np.bincount(bins, seen.weights, BINS)
    filled = answers > 0
    predicted = np.bincount(bins, seen.weights * tried, BINS)[filled] / answers[filled]
    observed = np.bincount(bins, seen.weights * seen.facts, BINS)[filled] / answers[filled]
    counted = np.where(np.flatnonzero(filled) > 0, answers[filled], 0.0)
    error = float(np.abs(predicted - observed) @ counted / counted.sum()) if counted.any() else 0.0
    return tuple(predicted.tolist()), tuple(observed.tolist()), tuple(answers[filled].tolist()), error


def _seen(run: Trained, chance: np.random.Generator) -> _Seen:
    """Queries that valid answers, and others that train does, as many of each as there are or as the fit may see."""
    kg = run.kg
    known, asked = (np.unique(kg.queries(split)[:, :2], axis=0) for split in ("train", "valid"))
    width = 2 * kg.num_relations
    others = known[~np.isin(known @ [width, 1], asked @ [width, 1])]
    parts, weights = [], []
    for group in (asked, others):
        chosen = group[np.sort(chance.permutation(len(group))[:_MOST])]
        for block in np.array_split(chosen, max(1, len(chosen) // _AT_ONCE)):
            scores = tail_scores(run, *torch.from_numpy(block.copy()).T).double().numpy()
            for (head, relation), row in zip(block.tolist(), scores, strict=True):
                parts.append(_of_query(row, kg.answers(head, relation), chance))
                weights.append(len(group) / len(chosen))
    sizes = [len(facts) for _, facts, _ in parts]
    shares, facts, stands = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _Seen(shares, facts, stands * np.repeat(weights, sizes), np.repeat(np.arange(len(parts)), sizes))


def _of_query(
    scores: Floats, answers: dict[str, Ids], chance: np.random.Generator
) -> tuple[Floats, npt.NDArray[np.bool_], Floats]:
    """Shares of a query's answers in valid, which are facts, and of some wrong candidates; what each stands for."""
    right = np.setdiff1d(answers["valid"], answers["train"])
    known = np.zeros(len(scores), dtype=np.bool_)
    for split in SPLITS:
        known[answers[split]] = True
    wrong = np.flatnonzero(~known)
    foremost, far = wrong, wrong[:0]
    if len(wrong) > _FOREMOST:
        order = np.argpartition(-scores[wrong], _FOREMOST)
        foremost, far = wrong[order[:_FOREMOST]], wrong[order[_FOREMOST:]]
    drawn = far[chance.choice(len(far), min(len(far), _OTHERS), replace=False)]
    chosen = np.concatenate([right, foremost, drawn])
    stands = np.ones(len(chosen))
    if len(drawn):
        stands[-len(drawn) :] = len(far) / len(drawn)
    return shares_of(scores, known)[chosen], np.arange(len(chosen)) < len(right), stands
