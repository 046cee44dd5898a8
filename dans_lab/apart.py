"""What tells a run from others at a glance: the settings that differ from the defaults, or from a preset."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from dans_core.config import Config, matters, parse
from dans_data.errors import InputError
from dans_lab.budget.recipe import RECIPES, recipe
from dans_lab.failing import EVERY

_ALWAYS_SAID = ("decoder", "sampler", "seed")
"""Settings that every list of runs names anyway."""

PRESET = "preset"
"""What stands before the name of a preset."""


@lru_cache(maxsize=4096)
def differing(config: Config) -> Mapping[str, Any]:
    """The settings by name that were chosen for this run, but for decoder, sampler and seed; empty for the defaults.

    Defaults are those of a small graph or of a large one. Where a preset says it shorter, it stands first, under
    "preset", with what differs from it.
    """
    values = {
        name: value
        for name, value in config.model_dump().items()
        if matters(name, config.sampler, config.reading) and name not in _ALWAYS_SAID
    }
    ways: list[dict[str, Any]] = []
    for preset in EVERY:
        for above in (0, *(above for above, _ in RECIPES)):
            expected = _expected(preset, above + 1 if above else 0, config.sampler, config.epochs)
            if expected is not None:
                differ = {name: value for name, value in values.items() if value != expected[name]}
                ways.append(({} if preset == "default" else {PRESET: preset}) | differ)
    return min(ways, key=len)


@lru_cache(maxsize=1024)
def _expected(preset: str, train: int, sampler: str, epochs: int) -> dict[str, Any] | None:
    """All settings of a preset for a graph of so many triplets, as they follow from the sampler and so many epochs.

    None where the preset does not go with them.
    """
    settings = recipe(train, sampler) | EVERY[preset]
    if settings.get("sampler", sampler) != sampler:
        return None
    warm_up = settings.get("warmup_epochs", Config.model_fields["warmup_epochs"].default)
    usual = settings.get("epochs", Config.model_fields["epochs"].default)
    try:
        made = parse(
            settings | {"sampler": sampler, "epochs": epochs, "warmup_epochs": min(warm_up, epochs // 2)}
        )
    except InputError:
        return None
    return made.model_dump() | {"epochs": usual}


def in_words(name: str, value: Any) -> str:
    """A setting and its value: "lr 0.01", "filter known on"."""
    if isinstance(value, bool):
        value = "on" if value else "off"
    return f"{name.replace('_', ' ')} {f'{value:g}' if isinstance(value, float) else value}"


def as_words(settings: Mapping[str, Any], most: int | None = None) -> list[str]:
    """The settings in words, after so many only that there are more."""
    every = [str(value) if name == PRESET else in_words(name, value) for name, value in settings.items()]
    return every if most is None or len(every) <= most else [*every[:most], "…"]


def as_name(settings: Mapping[str, Any]) -> list[str]:
    """The same as parts of the id of a run: "lr0p01", "filter-known-on", "fakes-as-negatives"."""
    words = (re.sub(r" (?=[0-9.])", "", words).replace(".", "p").lower() for words in as_words(settings))
    return [re.sub(r"[^a-z0-9]+", "-", each) for each in words]
