"""What a diagnosis says of a pathway with which nothing is wrong; tests change what they need otherwise."""

from __future__ import annotations

from dans_core.events import PathwayHealth

SOUND = PathwayHealth(
    outscores_random=0.5,
    outscores_positive=0.1,
    mean_score=-3.0,
    mean_cosine=0.2,
    effective_rank=20.0,
    copy_spread=0.4,
    distinct_nearest=60,
    scale=1.0,
    false_negatives=0.1,
    conditions=1560,
)
