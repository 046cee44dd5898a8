"""How often scores are above others; ties count half, so that scores that tell nothing apart are at a half."""

from __future__ import annotations

from torch import Tensor, searchsorted


def outscored(scores: Tensor, others: Tensor) -> float:
    """The share of `scores` above their `others`, of two shapes that broadcast; ties count half."""
    return float(((scores > others).float() + (scores >= others).float()).mean() / 2)


def beaten(scores: Tensor) -> Tensor:
    """For each of the scores (Q, N) the share of the others in its row that are below it; ties count half."""
    ordered = scores.sort(1).values
    below, up_to = (searchsorted(ordered, scores, right=right) for right in (False, True))
    # It is one of its equals itself.
    return (below + up_to - 1).to(scores.dtype) / 2 / (scores.shape[1] - 1)


def beaten_plain(scores: Tensor) -> Tensor:
    """The same by comparing all with all."""
    above = (scores.unsqueeze(2) > scores.unsqueeze(1)).to(scores.dtype).sum(2)
    equal = (scores.unsqueeze(2) == scores.unsqueeze(1)).to(scores.dtype).sum(2) - 1
    return (above + equal / 2) / (scores.shape[1] - 1)
