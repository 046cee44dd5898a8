"""The settings that fit a graph of a given size where nobody asks for others: one rule for runs and for studies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dans_core.config import Config, matters, parse
from dans_core.declared import DECLARED
from dans_data.errors import InputError

RECIPES: tuple[tuple[int, dict[str, Any]], ...] = (
    (
        50_000,
        {
            "batch_size": 15_000,
            "dropout": 0.2,
            "average": 0.0,
            "reading": "vectors",
            "play_every": 1,
            "pathway_fakes": 5,
            "epochs": 150,
            "warmup_epochs": 20,
            "eval_every": 10,
            "diagnose_every": 25,
            "snapshot_every": 50,
        },
    ),
)
"""Settings for graphs with more than so many training triplets; of several that apply, the last."""

SHARED = {"negatives": 200, "shared": 100}
"""What a recipe adds for samplers whose random negatives many triplets can share, so that many cost little."""

RECIPE_SETTINGS = frozenset(SHARED).union(*(settings for _, settings in RECIPES))
"""All settings that a recipe may choose."""


def recipe(train: int, sampler: str) -> dict[str, Any]:
    """The settings that fit a graph of so many training triplets and a sampler, of those that matter to the sampler.

    Empty for a small graph, which the defaults of `Config` fit.
    """
    found: dict[str, Any] = {}
    for above, settings in RECIPES:
        if train > above:
            found = settings
    if found and DECLARED[sampler].shares:
        found = found | SHARED
    return {name: value for name, value in found.items() if matters(name, sampler)}


def config_for(train: int, values: Mapping[str, Any]) -> Config:
    """The complete settings of a run: `values` (a person's, over those of a preset) over the recipe over the defaults.

    A warm-up that only the recipe asks for is at most half the epochs.

    Raises InputError as `config.parse` does; where the values are at odds with the recipe alone, it says so.
    """
    sampler = parse({name: value for name, value in values.items() if name == "sampler"}).sampler
    chosen = recipe(train, sampler)
    warm_up = chosen.pop("warmup_epochs", None)
    try:
        config = parse({**chosen, **values})
    except InputError as error:
        parse(dict(values))
        size = f"what is not set is chosen for a graph of {train:,} training triplets"
        raise InputError(f"{error}; {size}") from None
    if warm_up is None or "warmup_epochs" in values:
        return config
    return parse({**chosen, **values, "warmup_epochs": min(warm_up, config.epochs // 2)})


def chosen_for_size(train: int, values: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """What `config_for` took from the recipe and a small graph would have otherwise."""
    small = parse(dict(values))
    return {
        name: value
        for name in recipe(train, config.sampler)
        if name not in values and (value := getattr(config, name)) != getattr(small, name)
    }
