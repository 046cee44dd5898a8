"""The knowledge graph as the method asks for it: tensors, reciprocal relations, and the known answers.

Every relation r has a reciprocal r⁻¹ with id r + |R|; the head query (?, r, t) is the tail query (t, r⁻¹, ?),
so all prediction is tail prediction (method, section 1). Nothing needs torch until a tensor is asked for.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dans_data import RECIPROCAL, SPLITS, suggestion
from dans_data.errors import InputError
from dans_data.graph import Graph, Ids
from dans_data.known import KnownAnswers

if TYPE_CHECKING:
    import torch


class KnowledgeGraph(Graph):
    """Triplets over named entities and relations, split into train, valid and test: see `Graph` for what it holds.

    >>> kg = KnowledgeGraph.load("umls")
    """

    @cached_property
    def train(self) -> torch.Tensor:
        """Shape (n, 3), int64: head, relation, tail, in the original direction."""
        return self._tensor("train")

    @cached_property
    def valid(self) -> torch.Tensor:
        """Shape (n, 3), int64: head, relation, tail, in the original direction."""
        return self._tensor("valid")

    @cached_property
    def test(self) -> torch.Tensor:
        """Shape (n, 3), int64: head, relation, tail, in the original direction."""
        return self._tensor("test")

    def queries(self, split: str) -> Ids:
        """Both directions, shape (2n, 3): the rows (h, r, t), then their reciprocals (t, r + |R|, h)."""
        forward = self.array(split)
        backward = forward[:, ::-1] + np.array([0, self.num_relations, 0])
        return np.concatenate([forward, backward])

    def relation_id(self, name: str) -> int:
        """The id of a relation, or of its reciprocal for "NAME⁻¹". Raises InputError, as `entity_id`."""
        plain = name.removesuffix(RECIPROCAL)
        ending = name[len(plain) :]
        if plain not in self._relation_ids:
            close = suggestion(name, (relation + ending for relation in self.relations))
            raise InputError(f'{self.name} has no relation "{name}"{close}')
        return self._relation_ids[plain] + (self.num_relations if ending else 0)

    def relation_name(self, relation: int) -> str:
        """The name of a relation; "NAME⁻¹" for a reciprocal. Raises IndexError outside 0 … 2|R| - 1."""
        if not 0 <= relation < 2 * self.num_relations:
            raise IndexError(f"relation {relation} is outside 0 … {2 * self.num_relations - 1}")
        reciprocal, plain = divmod(relation, self.num_relations)
        return self.relations[plain] + RECIPROCAL * reciprocal

    @cached_property
    def _indexes(self) -> dict[tuple[str, ...], KnownAnswers]:
        return {}

    def known_in(self, *splits: str) -> KnownAnswers:
        """Index of the facts of these splits, both directions. What reaches a loss may use "train" alone."""
        if splits not in self._indexes:
            facts = np.concatenate([self.queries(split) for split in splits])
            self._indexes[splits] = KnownAnswers(facts, self.num_entities, 2 * self.num_relations)
        return self._indexes[splits]

    @property
    def known_answers(self) -> KnownAnswers:
        """Index of every known fact, all three splits and both directions: the filter of ranking."""
        return self.known_in(*SPLITS)

    def answers(self, head: int, relation: int) -> dict[str, Ids]:
        """The known answers of one query in each split, ascending ids; `relation` may be a reciprocal."""
        found = {}
        for split in SPLITS:
            index = self.known_in(split)
            start, stop = index.ranges(head, relation)
            found[split] = index.answers[int(start) : int(stop)]
        return found

    def split_of(self, head: int, relation: int, tail: int) -> str | None:
        """The first of train, valid, test that holds the fact, or None; `relation` may be a reciprocal."""
        for split in SPLITS:
            if self.known_in(split).contains(head, relation, tail):
                return split
        return None

    def slot_counts(self) -> npt.NDArray[np.int32]:
        """How often each entity is the answer of each relation in train; shape (2|R|, N).

        The counts behind the parameter-free floor of a ranking table (method, section 6). Dense: 100 MB for
        NELL-995, of which only the touched pages are taken.
        """
        train = self.queries("train")
        cells, counts = np.unique(train[:, 1] * self.num_entities + train[:, 2], return_counts=True)
        slots = np.zeros(2 * self.num_relations * self.num_entities, dtype=np.int32)
        slots[cells] = counts
        return slots.reshape(2 * self.num_relations, self.num_entities)

    @cached_property
    def _relation_ids(self) -> dict[str, int]:
        return {relation: i for i, relation in enumerate(self.relations)}

    def _tensor(self, split: str) -> torch.Tensor:
        import torch

        return torch.from_numpy(self.array(split).copy())
