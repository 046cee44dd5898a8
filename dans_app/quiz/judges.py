"""Who else plays: D_adv, D_aux and the decoder, each as a threshold on what it says, and how a game is scored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dans_app.quiz.games import Game
from dans_app.quiz.pools import Floats, Marks, Pool


@dataclass(frozen=True)
class Judge:
    """A player that looks at one number: it says "sought" on one side of a threshold.

    `fitted` says that the threshold separates best the candidates that are not asked: what the judge was trained for
    is another question, or its numbers have no natural middle. `above` is the side of what is sought.
    """

    name: str
    measure: str
    threshold: float
    above: bool
    fitted: bool

    def says(self, value: float) -> bool | None:
        """Whether it takes a candidate with this number for what is sought; None without a number."""
        if math.isnan(value):
            return None
        return value >= self.threshold if self.above else value < self.threshold


@dataclass(frozen=True)
class Tally:
    """How a player did: `found` of `sought` that were to be found, and `passed` of `others` rightly let pass."""

    found: int
    sought: int
    passed: int
    others: int

    @property
    def right(self) -> int:
        """Right answers."""
        return self.found + self.passed

    @property
    def rounds(self) -> int:
        """Answers."""
        return self.sought + self.others


def judges(candidates: Pool, game: Game, asked: Sequence[int]) -> list[Judge]:
    """The judges of a run, D_adv and D_aux first; those without any opinion on these candidates are left out.

    Thresholds are fitted to candidates that are not `asked`, and in the game of triplets to facts of valid alone.
    """
    found = []
    for name, measure in (("D_adv", "d_adv"), ("D_aux", "d_aux"), ("Decoder", "score")):
        if np.isnan(candidates.measures[measure][list(asked)]).any():
            continue
        # D_adv's number is the chance that it is real, and in the game of fakes these are not what is sought.
        judge = Judge(name, measure, 0.5, above=game.name != "real", fitted=False)
        trained = (game.name, measure) in _TRAINED
        found.append(judge if trained else fitted(judge, candidates, asked))
    return found


def fitted(judge: Judge, candidates: Pool, asked: Sequence[int]) -> Judge:
    """The same judge with the threshold that does best on what is not asked."""
    rest = ~candidates.drawable if not candidates.drawable.all() else candidates.drawable.copy()
    rest[list(asked)] = False
    threshold, above = best_threshold(candidates.measures[judge.measure][rest], candidates.sought[rest])
    return Judge(judge.name, judge.measure, threshold, above, fitted=True)


_TRAINED = {("real", "d_adv"), ("pathway", "d_aux"), ("triplet", "d_adv")}
"""Where a probability is read by its middle: the questions that D was trained for, and "true" as "real"."""


def best_threshold(values: Floats, sought: Marks) -> tuple[float, bool]:
    """The threshold with the largest sensitivity + specificity, and whether what is sought lies above it.

    It is halfway between two neighbouring values.
    """
    order = np.argsort(values, kind="stable")
    ordered, hits = values[order], sought[order]
    above_share = 1 - np.cumsum(hits) / max(1, hits.sum())
    others_above = 1 - np.cumsum(~hits) / max(1, (~hits).sum())
    gain = above_share - others_above
    # Between equal values there is no threshold.
    gain[:-1][ordered[1:] == ordered[:-1]] = 0
    at = int(np.argmax(np.abs(gain[:-1]))) if len(gain) > 1 else 0
    after = ordered[min(at + 1, len(ordered) - 1)]
    return float((ordered[at] + after) / 2), bool(gain[at] >= 0)


def separation(values: Floats, sought: Marks) -> float:
    """How often a candidate that is sought has the larger value than another one, ties half: the area under the ROC."""
    from scipy.stats import rankdata

    hits = int(sought.sum())
    if not 0 < hits < len(sought):
        return math.nan
    ranks = rankdata(values)[sought].sum() - hits * (hits + 1) / 2
    return float(ranks / (hits * (len(sought) - hits)))


def tally(truth: Sequence[bool], said: Sequence[bool]) -> Tally:
    """The answers of a player against what was so."""
    pairs = list(zip(truth, said, strict=True))
    return Tally(
        sum(true and says for true, says in pairs),
        sum(true for true, _ in pairs),
        sum(not true and not says for true, says in pairs),
        sum(not true for true, _ in pairs),
    )


def interval(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's score; (0, 1) of nothing."""
    if not of:
        return 0.0, 1.0
    z2 = 1.959964**2
    middle = (hits + z2 / 2) / (of + z2)
    half = math.sqrt(z2 * (hits * (of - hits) / of + z2 / 4)) / (of + z2)
    return max(0.0, middle - half), min(1.0, middle + half)


def luck(mine_alone: int, theirs_alone: int) -> float:
    """The p-value of McNemar's exact test: of rounds that one of two players alone got right, how uneven by chance?"""
    differ = mine_alone + theirs_alone
    fewer = sum(math.comb(differ, k) for k in range(min(mine_alone, theirs_alone) + 1))
    return min(1.0, 2 * fewer / 2**differ)
