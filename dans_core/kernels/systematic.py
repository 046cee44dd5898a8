"""Systematic draws: K entities for each pair from the distribution of its query, by one random number a query."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dans_core.batch import Turns


def systematic(reached: Tensor, start: Tensor, dealt: Turns, order: Tensor, draws: int) -> Tensor:
    """Where evenly spaced points fall on the cumulative sum of a row, dealt among the row's pairs in turn.

    The j-th of the n pairs of a row has the points (k + (j + U) / n) / K, k = 0 … K − 1. So an entity of probability m
    is drawn ⌊K m⌋ or ⌈K m⌉ times for each pair, K m on average over U, and ⌊n K m⌋ or ⌈n K m⌉ times for all of them.

    All points of a row are n K at even distances, so it is enough to count how many fall on each entity.

    Args:
        reached: cumulative sums of the probabilities, shape (Q, N), float64; the last of a row is 1.
        start: U of each row, in [0, 1), shape (Q,).
        dealt: the rows of P pairs.
        order: which entity each column is, shape (N,).

    Returns:
        entities, shape (P, K).
    """
    rows = len(reached)
    points = (dealt.pairs * draws).double().unsqueeze(1)
    # How many points lie before the end of each entity: the i-th of a row is at i + U.
    before = torch.addcmul(-start.double().unsqueeze(1), reached, points).ceil_().clamp_min_(0).long()
    times = before.diff(dim=1, prepend=before.new_zeros(rows, 1)).flatten()
    fallen = order.repeat(rows).repeat_interleave(times, output_size=len(dealt.turn) * draws)
    steps = torch.arange(draws, device=reached.device) * dealt.of.unsqueeze(1)
    return F.embedding(
        steps.add_((dealt.before * draws + dealt.turn).unsqueeze(1)), fallen.unsqueeze(1)
    ).squeeze(2)


def systematic_plain(reached: Tensor, start: Tensor, rows: Tensor, order: Tensor, draws: int) -> Tensor:
    """The same, point by point, for pairs of these rows (P,)."""
    pairs, found = rows.bincount(minlength=len(reached)), []
    turns = dict.fromkeys(rows.tolist(), 0)
    for row in rows.tolist():
        n = int(pairs[row])
        points = [k * n + turns[row] + float(start[row]) for k in range(draws)]
        found.append([int(order[(reached[row] * (n * draws) <= point).sum()]) for point in points])
        turns[row] += 1
    return torch.tensor(found)
