"""What a checkpoint holds: the base model, DANS's generator and discriminator, and what other samplers learned."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from dans_core.gan import Discriminator, Generator
from dans_core.model import Model
from dans_core.samplers.contract import Sampler, Sources

_RANDOM_SOURCES = ("order", "split", "dropout", "negatives", "noise")


@dataclass(frozen=True)
class Networks:
    """The trained parts of a run; `generator` and `discriminator` are None without a GAN.

    `make_sampler` gives the sampler of a run that chooses entities of its own, as far as it learned.
    """

    model: Model
    generator: Generator | None = None
    discriminator: Discriminator | None = None
    make_sampler: Callable[[], Sampler] | None = None

    @cached_property
    def sampler(self) -> Sampler | None:
        """What `make_sampler` gives, made when first asked for, since some take long; to be used through `borrowed`."""
        return self.make_sampler() if self.make_sampler else None

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


def random_sources(seed: int) -> tuple[dict[str, torch.Generator], int]:
    """The sources of random numbers of a run as they are at its start, by purpose, and a seed for its first weights."""
    *seeds, weights = np.random.SeedSequence(seed).generate_state(len(_RANDOM_SOURCES) + 1)
    sources = {
        name: torch.Generator().manual_seed(int(each))
        for name, each in zip(_RANDOM_SOURCES, seeds, strict=True)
    }
    return sources, int(weights)


def borrowed(sampler: Sampler, random: torch.Generator) -> Sampler:
    """A sampler that draws as this one would, by other random numbers, and leaves this one as it is."""
    sources = Sources(random, random)
    if not sampler.state_dict():
        taken = copy.copy(sampler)
        taken.random = sources
        return taken
    shared = (sampler.config, sampler.facts, sampler.decoder)
    return copy.deepcopy(sampler, {id(part): part for part in shared} | {id(sampler.random): sources})
