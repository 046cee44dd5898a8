"""Runs of earlier versions: what newer settings were before they existed, and what has become of their weights."""

from __future__ import annotations

import re
from typing import Any

from dans_core.config import Config
from dans_data.errors import InputError

EARLIER: dict[str, Any] = {
    "patience": 0,
    "shared": 1,
    "pathway_fakes": 0,
    "average": 0.0,
    "reading": "vectors",
    "tau": 0.1,
    "random_share": 0.5,
    "adv_weight": 1.0,
    "ce_weight": 1.0,
    "play_every": 1,
}
"""What a run or study of an earlier version had and does not say."""

_BIAS = re.compile(r"(.*)linears\.(\d+)\.bias")


def _cancelled(generator: dict[str, Any]) -> list[tuple[str, str]]:
    """Names of biases before batch norm, each with that of the running mean in which it is contained."""
    found = map(_BIAS.fullmatch, generator)
    return [(each[0], f"{each[1]}norms.{each[2]}.running_mean") for each in found if each]


def refuse(state: dict[str, Any], config: Config) -> None:
    """InputError where an earlier version wrote this last.pt and the run cannot go on from it."""
    # Of before, news on their way were text; a run in its folder has none when it is saved.
    news = isinstance(state.get("pending"), str) and bool(state["pending"])
    # Their optimizer has moments of these.
    biases = config.film == "none" and _cancelled(state["networks"].get("generator", {}))
    if "sampler" not in state or news or biases:
        raise InputError(
            "its last.pt is of an earlier version, so the run can be looked at but not go on; "
            "a new run with its settings can be started"
        )


def mended(networks: dict[str, Any], config: Config) -> dict[str, Any]:
    """Weights as they are now: without FiLM those of earlier versions have biases that batch norm cancels.

    The same fakes come without them.
    """
    if config.film != "none" or "generator" not in networks:
        return networks
    generator = dict(networks["generator"])
    for bias, mean in _cancelled(generator):
        generator[mean] = generator[mean] - generator.pop(bias)
    return networks | {"generator": generator}
