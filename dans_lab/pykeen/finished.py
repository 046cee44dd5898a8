"""The generator of a finished run, asked by PyKEEN's numbers of entities and relations."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from dans_core.facts import TrainFacts
from dans_core.kg import KnowledgeGraph
from dans_core.samplers.contract import Sources
from dans_core.samplers.dans import Dans
from dans_data.errors import InputError
from dans_data.triplets import printable
from dans_lab.prediction import load_run
from dans_lab.pykeen.proposing import Drawn, drawn_in_parts

if TYPE_CHECKING:
    from pykeen.triples import TriplesFactory


class Finished:
    """What the best weights of a run propose; its fakes are read as proposals, whether it trained so or not."""

    version = 0

    def __init__(
        self,
        run: str | os.PathLike[str],
        triplets: Tensor,
        num_entities: int,
        num_relations: int,
        labels: TriplesFactory | None,
    ) -> None:
        """The run, matched with PyKEEN's training triplets (n, 3).

        Raises InputError where there is no such run, where it has no generator, or where it is of another graph.
        """
        loaded = load_run(run)
        generator = loaded.trained.networks.generator
        name = loaded.run.path.name
        if generator is None:
            raise InputError(
                f"{name} has no generator, since it is a run with {loaded.config.sampler} negatives, or an export; "
                "expected a run with dans"
            )
        self._relations, self._pykeen_relations = loaded.kg.num_relations, num_relations
        if labels is None:
            entities, relations = _by_facts(loaded.kg, name, triplets, num_entities, num_relations)
        else:
            entities, relations = _by_labels(loaded.kg, name, labels, num_relations)
        self._entities, self._relation_ids = entities, relations
        self._back = torch.full((loaded.kg.num_entities,), -1)
        self._back[entities] = torch.arange(len(entities))
        self._vectors, self._model = loaded.trained.entities, loaded.model
        with torch.random.fork_rng(devices=[]):
            self._dans = Dans(
                loaded.config,
                TrainFacts(loaded.kg),
                loaded.model.decoder,
                Sources(torch.Generator(), torch.Generator()),
            )
        self._dans.generator = generator.eval()

    @torch.no_grad()
    def draw(self, heads: Tensor, relations: Tensor, draws: int) -> Drawn:
        """As `Source` says."""
        turned = relations >= self._pykeen_relations
        ids = self._relation_ids[relations % self._pykeen_relations]
        ids = torch.where(turned, (ids + self._relations) % (2 * self._relations), ids)
        vectors, model = self._vectors, self._model
        found = drawn_in_parts(
            self._dans, self._entities[heads], ids, vectors, lambda h, r: model.queries(vectors, h, r), draws
        )
        # What PyKEEN does not have is drawn in vain, so the rest weighs more.
        return Drawn(self._back[found.ids], found.weights * (len(self._back) / len(self._entities)))


def _by_facts(
    kg: KnowledgeGraph, run: str, triplets: Tensor, num_entities: int, num_relations: int
) -> tuple[Tensor, Tensor]:
    """The same numbers on both sides, which holds where all training triplets by number are facts of the run's train.

    Where PyKEEN adds inverse triplets, relation 2r is r, and 2r + 1 its reciprocal.
    """
    relations = torch.arange(num_relations)
    if num_relations == 2 * kg.num_relations:
        relations = relations // 2 + kg.num_relations * (relations % 2)
    if num_entities <= kg.num_entities and num_relations in (kg.num_relations, 2 * kg.num_relations):
        head, relation, tail = triplets.cpu().T
        if kg.known_in("train").contains(*(x.numpy() for x in (head, relations[relation], tail))).all():
            return torch.arange(num_entities), relations
    raise InputError(
        f"the run {run} was trained on {kg.name}, whose facts by number are not these training triplets; where labels "
        "should match instead, pass the training factory as labels in negative_sampler_kwargs"
    )


def _by_labels(
    kg: KnowledgeGraph, run: str, factory: TriplesFactory, num_relations: int
) -> tuple[Tensor, Tensor]:
    entities = _matched(factory.entity_to_id, kg.entities, run, "entities")
    relations = _matched(factory.relation_to_id, kg.relations, run, "relations")
    if num_relations == 2 * len(relations):
        return entities, torch.stack([relations, relations + kg.num_relations], dim=1).flatten()
    return entities, relations


def _matched(theirs: Mapping[str, int], ours: tuple[str, ...], run: str, kind: str) -> Tensor:
    """For each of PyKEEN's numbers that of the run with the same label."""
    numbers = {name: number for number, name in enumerate(ours)}
    if missing := sorted(set(theirs) - set(numbers)):
        raise InputError(
            f"{len(missing):,} of {len(theirs):,} {kind} are none of the run {run}, such as "
            f'"{printable(missing[0], 60)}"; expected a run on a graph that has them all'
        )
    found = np.empty(len(theirs), dtype=np.int64)
    for name, number in theirs.items():
        found[number] = numbers[name]
    return torch.from_numpy(found)
