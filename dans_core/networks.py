"""What a checkpoint holds: the base model and, for DANS, its generator and discriminator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from dans_core.config import Config
from dans_core.errors import InputError
from dans_core.gan import Discriminator, Generator
from dans_core.kg import KnowledgeGraph
from dans_core.model import Model


@dataclass(frozen=True)
class Networks:
    """The trained parts of a run; `generator` and `discriminator` are None without a GAN."""

    model: Model
    generator: Generator | None = None
    discriminator: Discriminator | None = None

    def state_dict(self) -> dict[str, Any]:
        """Weights of all parts, by part."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the weights of `state_dict`; half-precision ones are widened."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, torch.nn.Module]:
        parts = {"model": self.model, "generator": self.generator, "discriminator": self.discriminator}
        return {name: part for name, part in parts.items() if part is not None}


def load_weights(state: dict[str, Any], kg: KnowledgeGraph, config: Config) -> Networks:
    """The networks of a checkpoint, ready for inspection (batch norm in evaluation mode).

    `state` is what `torch.load` gives for best.pt or last.pt; both hold the weights under "networks".

    Raises
    ------
    InputError
        if the weights do not fit the graph and the settings.
    """
    with torch.random.fork_rng(devices=[]):
        networks = Networks(Model(kg.num_entities, kg.num_relations, config))
        if config.sampler == "dans":
            networks = Networks(networks.model, Generator(config.dim), Discriminator(config.dim))
    try:
        networks.load_state_dict(state["networks"])
    except (KeyError, RuntimeError, TypeError) as error:
        raise InputError(
            f"the checkpoint does not fit data set {kg.name!r} and its settings: {error}"
        ) from None
    for part in (networks.model, networks.generator, networks.discriminator):
        if part is not None:
            part.eval().requires_grad_(False)
    return networks
