"""The networks of a checkpoint, ready to be looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from dans_core.config import Config
from dans_core.facts import TrainFacts
from dans_core.gan import Discriminator, Generator
from dans_core.kg import KnowledgeGraph
from dans_core.model import Model
from dans_core.networks import Networks, random_sources
from dans_core.samplers.catalogue import class_of
from dans_core.samplers.contract import Sampler, Sources
from dans_core.samplers.dans import Dans
from dans_data.errors import InputError
from dans_lab.runs import earlier
from dans_lab.runs.run import Which


def epoch_of(state: dict[str, Any], which: Which) -> int:
    """The epoch that the weights of best.pt or last.pt are of; InputError where the checkpoint does not say."""
    place = state.get("progress") if which == "last" else state
    epoch = place.get("epoch") if isinstance(place, dict) else None
    if not isinstance(epoch, int) or epoch < 0:
        raise InputError(f"{which}.pt does not say of which epoch it is: it is damaged")
    return epoch


def load_weights(state: dict[str, Any], kg: KnowledgeGraph, config: Config) -> Networks:
    """The networks of a checkpoint, ready for inspection (batch norm in evaluation mode).

    `state` is what `torch.load` gives for best.pt or last.pt; both hold the weights under "networks".

    Raises:
    ------
    InputError
        if the weights do not fit the graph and the settings.
    """
    if "shards" in state:
        raise InputError(
            "last.pt has no entity table, since the processes that train this run keep it in shards; "
            "best.pt has all of it, after the first valid ranking"
        )
    with torch.random.fork_rng(devices=[]):
        networks = Networks(Model(kg.num_entities, kg.num_relations, config))
        if issubclass(class_of(config.sampler), Dans):
            networks = Networks(networks.model, Generator(config), Discriminator(config))
        elif config.declaration.chooses and "sampler" in state:
            learned = state["sampler"]
            networks = Networks(
                networks.model, make_sampler=lambda: _load_sampler(learned, kg, config, networks.model)
            )
    with _fitting(kg):
        networks.load_state_dict(earlier.mended(state["networks"], config))
    for part in (networks.model, networks.generator, networks.discriminator):
        if part is not None:
            part.eval().requires_grad_(False)
    return networks


def _load_sampler(state: dict[str, Any], kg: KnowledgeGraph, config: Config, model: Model) -> Sampler:
    """The sampler of a run as far as it learned; what it drew when it was made, it draws again."""
    sources, seed = random_sources(config.seed)
    with torch.random.fork_rng(devices=[]), _fitting(kg):
        torch.default_generator.manual_seed(seed)
        random = Sources(sources["negatives"], sources["noise"])
        sampler = class_of(config.sampler)(config, TrainFacts(kg), model.decoder, random)
        sampler.load_state_dict(state)
    return sampler


@contextmanager
def _fitting(kg: KnowledgeGraph) -> Iterator[None]:
    """InputError for weights of another shape."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"the checkpoint does not fit data set {kg.name!r} and its settings: {error}"
        ) from None
