"""The nearest entity of many vectors, block by block."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dans_core.kernels.products import linear

# Cosines kept in memory at once, 16 MiB of float32, as in ranking.
_MAX_COSINES = 1 << 22


def nearest(fakes: Tensor, entities: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest entity by cosine over all N: ids and cosines, shape (…) for fakes (…, dim)."""
    unit = F.normalize(entities, dim=-1)
    blocks = F.normalize(fakes, dim=-1).flatten(0, -2).split(max(1, _MAX_COSINES // len(entities)))
    best = [linear(block, unit).max(dim=-1) for block in blocks]
    ids, cosines = torch.cat([b.indices for b in best]), torch.cat([b.values for b in best])
    return ids.view(fakes.shape[:-1]), cosines.view(fakes.shape[:-1])


def nearest_plain(vectors: Tensor, entities: Tensor) -> tuple[Tensor, Tensor]:
    """The same with all cosines in memory."""
    cosines, ids = F.cosine_similarity(vectors.unsqueeze(-2), entities, dim=-1).max(-1)
    return ids, cosines
