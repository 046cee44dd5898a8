"""How far vectors spread, from sums over all of them at once, and how many of a kind there are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def mean_cosine(vectors: Tensor) -> float:
    """Mean cosine over all pairs of different rows of (n, dim); 1 when all point one way."""
    n = len(vectors)
    if n < 2:
        return 1.0
    unit = F.normalize(vectors.double(), dim=1)
    # Σ over pairs of u_i · u_j = |Σ u_i|² − Σ |u_i|².
    return float((unit.sum(0).square().sum() - unit.square().sum()) / (n * (n - 1)))


def mean_cosine_plain(vectors: Tensor) -> float:
    """The same, pair by pair."""
    n = len(vectors)
    pairs = [F.cosine_similarity(vectors[i], vectors[j], dim=0) for i in range(n) for j in range(n) if i != j]
    return float(torch.stack(pairs).mean()) if pairs else 1.0


def effective_rank(vectors: Tensor) -> float:
    """exp of the entropy of the normalised singular values of the centred rows (Roy & Vetterli 2007).

    NaN where a vector is not finite.
    """
    centred = (vectors - vectors.mean(0)).double()
    if not centred.isfinite().all():
        return math.nan
    spectrum = torch.linalg.eigvalsh(centred.T @ centred).clamp_min(0).sqrt()
    if not spectrum.sum() > 0:
        return 1.0
    share = spectrum / spectrum.sum()
    return float(torch.special.entr(share).sum().exp())


def copy_spread(fakes: Tensor) -> float:
    """Spread of the draws of one condition ÷ spread of all fakes, for (C, K, dim); 0 means copies."""
    conditions, draws, dim = fakes.shape
    rows = fakes.reshape(-1, dim)
    within = (fakes - fakes.mean(1, keepdim=True)).square().sum() / (conditions * (draws - 1))
    total = (rows - rows.mean(0)).square().sum() / (len(rows) - 1)
    return float((within / total).sqrt()) if total > 0 else 0.0


def effective_number(ids: Tensor) -> float:
    """exp of the entropy of how often each id occurs: n where n ids occur equally often."""
    counts = ids.flatten().bincount().double()
    return float(torch.special.entr(counts / counts.sum()).sum().exp())


def adaptivity(fakes: Tensor, index: Tensor, group: Tensor, entities: Tensor) -> float:
    """How far the fakes for the queries of one group differ, in units of how far the entities differ.

    With f_q the mean fake for query q over all noise and f̄_g that of the n_g queries of group g,

        sqrt(V / V_E),   V = Σ_g Σ_q |f_q − f̄_g|² / Σ_g (n_g − 1),   V_E = Σ_i |e_i − ē|² / (N − 1).

    It is 0 where all queries of a group get the same fake and 1 where their fakes differ as much as entities do.
    Grouped by relation it says what the head changes, grouped by head what the relation changes. A mean over K draws
    still has the noise s_q² / K, s_q² being the variance of the draws for q: that part is taken off, so the estimate of
    V is unbiased for any K, and 0 stands for one below 0.

    Args:
        fakes: shape (C, K, dim), K ≥ 2 draws for each of C conditions.
        index: shape (Q,), the condition of each query; another one for each query of a group.
        group: shape (Q,), the number of each query's group.
        entities: shape (N, dim).

    Returns:
        Not a finite number where no group has two queries, where all entities are one point, or where one comes in.
    """
    draws = fakes.shape[1]
    means = fakes.mean(1)
    noise = (fakes - means.unsqueeze(1)).square().sum((1, 2)) / (draws * (draws - 1))
    means, noise = means[index], noise[index]
    sizes = group.bincount()
    centres = means.new_zeros(len(sizes), means.shape[1]).index_add_(0, group, means)
    centres /= sizes.clamp_min(1).unsqueeze(1)
    apart = (means - centres[group]).square().sum() - noise @ (1 - 1 / sizes[group])
    freedom = (sizes - 1).clamp_min(0).sum()
    return float((apart.clamp_min(0) / freedom / entities.var(0).sum()).sqrt())


def adaptivity_plain(
    fakes: Tensor, index: Sequence[int], group: Sequence[int], entities: Tensor
) -> float | None:
    """The same, one condition at a time, with the noise taken off group by group."""
    apart, freedom = 0.0, 0
    for one in set(group):
        members = [fakes[place].double() for place, of in zip(index, group, strict=True) if of == one]
        means = torch.stack([draws.mean(0) for draws in members])
        apart += float((means - means.mean(0)).square().sum())
        for draws in members:
            variance = float((draws - draws.mean(0)).square().sum()) / (len(draws) - 1)
            apart -= (1 - 1 / len(members)) * variance / len(draws)
        freedom += len(members) - 1
    of_entities = float(entities.double().var(0).sum())
    return math.sqrt(max(0.0, apart) / freedom / of_entities) if freedom and of_entities else None
