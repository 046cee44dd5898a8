"""Systematic draws: K entities for each pair from the distribution of its query, by one random number a pair."""

from __future__ import annotations

import torch
from torch import Tensor


def systematic(proposal: Tensor, rows: Tensor, start: Tensor, draws: int) -> Tensor:
    """Where the points (k + U) / K, k = 0 … K − 1, fall on the cumulative sum of a row.

    An entity of probability m is drawn ⌊K m⌋ or ⌈K m⌉ times, K m on average over U.

    Args:
        proposal: shape (Q, N); each row sums to 1 up to rounding.
        rows: shape (P,), the row of each pair.
        start: U of each pair, in [0, 1), shape (P,).

    Returns:
        positions 0 … N − 1, shape (P, K).
    """
    queries, size = proposal.shape
    reached = proposal.double().cumsum(1)
    # One ascending sequence for all rows, the q-th of them from q to q + 1, is searched in one call.
    first = torch.arange(queries, device=proposal.device).unsqueeze(1)
    ladder = (reached / reached[:, -1:] + first).flatten()
    place = torch.searchsorted(ladder, rows.unsqueeze(1) + _points(start, draws), right=True)
    return (place - rows.unsqueeze(1) * size).clamp_(0, size - 1)


def systematic_plain(proposal: Tensor, rows: Tensor, start: Tensor, draws: int) -> Tensor:
    """The same, pair by pair."""
    reached = proposal.double().cumsum(1)
    reached = reached / reached[:, -1:]
    points = _points(start, draws)
    found = [(reached[row] <= point.unsqueeze(1)).sum(1) for row, point in zip(rows, points, strict=True)]
    return torch.stack(found).clamp_(0, proposal.shape[1] - 1)


def _points(start: Tensor, draws: int) -> Tensor:
    steps = torch.arange(draws, dtype=torch.float64, device=start.device)
    return (start.double().unsqueeze(1) + steps) / draws
