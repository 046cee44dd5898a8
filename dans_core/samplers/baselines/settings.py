"""The settings that only samplers read with which DANS is compared; they are fields of `Config` like all others."""

from __future__ import annotations

from typing import Any

from dans_core.declaration import setting

POPULARITY_POWER: Any = setting(
    0.75, "Power of popularity",
    "The popularity sampler draws an entity in proportion to its number of facts to this power; 0 is uniform.",
    "negatives", "", ge=0.0, le=4.0,
)  # fmt: skip
CACHE_SIZE: Any = setting(
    30, "Cache", "Entities that NSCaching keeps for each query, to draw its negatives from.", "negatives",
    "entities", ge=1, le=1000,
)  # fmt: skip
CACHE_FRESH: Any = setting(
    30, "Fresh candidates", "Random entities that compete for a place in NSCaching's cache in each step.",
    "negatives", "entities", ge=1, le=1000,
)  # fmt: skip
CANDIDATES: Any = setting(
    20, "Candidates", "Random entities from which KBGAN's generator chooses each negative.", "negatives",
    "entities", ge=2, le=1000,
)  # fmt: skip
GENERATOR_DIM: Any = setting(
    50, "Generator size", "Numbers per entity in KBGAN's generator, a small DistMult of its own.",
    "negatives", "numbers", ge=2, le=2048, multiple_of=2,
)  # fmt: skip
BURN_IN: Any = setting(
    10, "Burn-in", "Steps that each chain of MCNS takes before its first negative.", "negatives", "steps",
    ge=0, le=1000,
)  # fmt: skip
HOPS: Any = setting(
    2, "Hops", "How far from the kept entity SANS looks, and how far a chain of MCNS may step.", "negatives",
    "edges", ge=1, le=4,
)  # fmt: skip
WALKS: Any = setting(
    1000, "Walks",
    "Random walks from each entity whose ends are SANS's negatives; 0 takes the whole neighbourhood evenly.",
    "negatives", "walks", ge=0, le=100_000,
)  # fmt: skip
