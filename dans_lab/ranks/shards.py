"""A Trainer that is one of several with a shard of the entity table each, and what it needs of the others'.

As Sheikh et al. do it (https://arxiv.org/abs/2201.02791): a process trains on a part of the triplets, encodes their
ends exactly, from all that is within as many hops as the encoder has layers, and draws negatives from its own part.
"""

from __future__ import annotations

import copy
import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dans_core.batch import Batch
from dans_core.config import Config
from dans_core.events import Diagnostics, Ranking, Snapshot
from dans_core.kernels.edges import EdgePlan, MessageGraph, forget
from dans_core.kg import KnowledgeGraph
from dans_core.model import Model
from dans_core.ranking import RankingResult, result_of
from dans_core.training import Shared, Stage, Trainer
from dans_data.errors import InputError
from dans_lab.names import SAMPLERS
from dans_lab.ranks.group import Ranks, Word
from dans_lab.ranks.partition import Part, order_of
from dans_lab.ranks.table import Table
from dans_lab.ranks.trainer import RankTrainer

SAMPLERS_OF_A_PART = ("uniform", "dans")
"""The samplers that need no entities but those of a part."""

FOLDERS = ("table-a", "table-b")
"""Where in a run's folder the table is kept, in turn, so that the one that last.pt names is always whole."""

# Scores in memory at once, as in `kernels.ranks`.
_MAX_SCORES = 1 << 22


class ShardTrainer(RankTrainer):
    """Trains a run together with those of the other processes, each with its own rows of the entity table.

    All else is on all of them, as with `RankTrainer`: relations, encoder, G, D, and the triplets. A step has the
    triplets and the message edges that it has on one process. Each takes those of the triplets that are its own, pulls
    the rows that their encoding needs, and pushes the gradients to where the rows lie. So a gradient is that of one
    process, but for what is drawn: negatives, and the candidates of DANS, are vertices of the own part, the L2 term is
    over these, and dropout is each process's own. Snapshots and diagnostics, which are about the whole table, are left
    out.

    `meet` is to be called on all at once before anything else.

    Raises:
        InputError: when made, for other samplers, a GPU, and where a process would have no rows or no triplets.
    """

    def __init__(
        self, kg: KnowledgeGraph, config: Config, device: torch.device, others: Ranks, run: Path
    ) -> None:
        if config.sampler not in SAMPLERS_OF_A_PART:
            raise InputError(
                f"sampler = {config.sampler}: {SAMPLERS[config.sampler]} chooses among all entities, and with "
                "--shard-entities a process has those of its part only; take uniform or dans, or leave the option out"
            )
        if device.type != "cpu":
            raise InputError("--shard-entities is for CPUs; say --device cpu, or leave the option out")
        order = order_of(kg)
        self.part = part = Part.of(kg, order, others.rank, others.count, config.layers)
        self.table = Table(part, order, config.dim, config.lr, config.average > 0, config.seed)
        of_vertices = _subgraph(kg, part)
        super().__init__(of_vertices, config, device, others)
        forget(of_vertices)
        self.kg, self._run = kg, run
        self._mine, self._local = torch.from_numpy(part.triplets), torch.from_numpy(part.local)
        entity = nn.Parameter(torch.empty(len(part.entities), config.dim))
        averaged = self.networks.model if config.average else None
        self._moving = _PartModel(self._moving, entity, part.vertices, lambda: self.table.rows, self.table)
        self.model = self._moving
        if averaged is not None:
            self.model = _PartModel(averaged, entity, part.vertices, self.table.shown, self.table)
        self.networks = dataclasses.replace(self.networks, model=self.model)
        dense = [value for value in self._moving.parameters() if value is not entity]
        self._optimizer = torch.optim.Adam(dense, lr=config.lr, fused=True)
        self._optimizer.register_step_pre_hook(self._average_gradients)
        self._graph = _Messages(part, 2 * kg.num_relations)
        self._folder = FOLDERS[-1]

    def meet(self) -> None:
        """Make the table, and begin with the weights of the first process."""
        self.table.meet(self._others)
        with torch.no_grad():
            for value in self.networks.state_dict().values():
                for tensor in (each for name, each in value.items() if name != "entity"):
                    tensor.copy_(self._others.sum_up(tensor if not self._others.rank else tensor.zero_()))
            for moving, shown in zip(self._moving.parameters(), self.model.parameters(), strict=True):
                moving.copy_(shown)

    def step(self) -> Stage:
        """The next stage, together with the others; without news of snapshots, since none are taken."""
        stage = super().step()
        return dataclasses.replace(
            stage, events=tuple(event for event in stage.events if not isinstance(event, Snapshot))
        )

    def also(self, what: str) -> None:
        """What the others do when the first process asks for the best weights, ranks test, or saves."""
        if what == "best":
            self.table.whole(self._best_rows)
        elif what == "test":
            self._test()
        else:
            self.table.save(self._run / what)

    def best_weights(self) -> dict[str, Any] | None:
        """What gave the best valid ranking so far, with the table put together: for the first process."""
        if self.best_state is None:
            return None
        with self._others.all_do(Word.ALSO, b"best"):
            entity = self.table.whole(self._best_rows)
        networks = self.best_state["networks"]
        model = {**networks["model"], "entity": entity}
        return {**self.best_state, "networks": {**networks, "model": model}}

    def test_mrr(self) -> float:
        """MRR of the test split by the best weights, or the last where none were ranked: for the first process."""
        with self._others.all_do(Word.ALSO, b"test"):
            return self._test().mrr

    def state_dict(self) -> dict[str, Any]:
        """As ever, but with the name of the folder that all have written the table into."""
        self._folder = FOLDERS[1 - FOLDERS.index(self._folder)]
        with self._others.all_do(Word.ALSO, self._folder.encode()):
            told = self.table.save(self._run / self._folder)
        state = super().state_dict()
        for model in (state["networks"]["model"], state["moving"] or {}):
            model.pop("entity", None)
        return {**state, "shards": {"folder": self._folder, **told}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a run of however many processes that have its table in shards, on the others as well.

        Raises InputError for a run of whole tables, and where the folder of the table is damaged.
        """
        if self._others.rank:
            return self._take_up(state)
        if "shards" not in state:
            raise InputError("this run has the whole entity table in last.pt; go on without --shard-entities")
        packed = io.BytesIO()
        torch.save(state, packed)
        with self._others.all_do(Word.STATE, packed.getvalue()):
            self._take_up(state)

    def _take_up(self, state: dict[str, Any]) -> None:
        told = state["shards"]
        if told["folder"] not in FOLDERS:
            raise InputError(f"last.pt names {told['folder']!r}; expected one of {', '.join(FOLDERS)}")
        self._folder = told["folder"]
        self.table.load(self._run / self._folder, told)
        entity = self._moving.entity.detach()
        whole = {
            **state,
            "networks": {**state["networks"], "model": {**state["networks"]["model"], "entity": entity}},
        }
        if state["moving"]:
            whole["moving"] = {**state["moving"], "entity": entity}
        Trainer.load_state_dict(self, whole)

    @property
    def _best_rows(self) -> Tensor:
        assert self.table.best is not None, "kept with the rest of the best weights"
        return self.table.best

    def _make_step(self) -> Shared:
        if self._others.rank:
            # Of the place in the run alone, so that one that goes on from here has the same.
            at = [self.config.seed, self._others.rank, self.epoch, self._chunk]
            self._random["dropout"].manual_seed(int(np.random.SeedSequence(at).generate_state(1)[0]))
        return super()._make_step()

    def _batch(self, rows: Tensor | None) -> Batch:
        every = torch.arange(len(self.kg.train)) if rows is None else rows
        own = every[self._mine[every]]
        self._share = len(own) / len(every)
        if rows is None and self._whole_batch is not None:
            return self._whole_batch
        # A process that has none takes one that counts for nothing.
        heads, relations, tails = self.kg.train[own if len(own) else self._mine.nonzero()[:1, 0]].T
        triplets = torch.stack([self._local[heads], relations, self._local[tails]], dim=1)
        batch = Batch.of_triplets(triplets, self.kg.num_relations)
        if rows is None:
            self._whole_batch = batch
        return batch

    @torch.no_grad()
    def _average_gradients(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        if optimizer is not self._optimizer:
            return super()._average_gradients(optimizer)
        entity, rows = self._moving.entity, self.table.rows
        assert entity.grad is not None, "every step encodes"
        rows.grad = self.table.push(entity.grad.mul_(self._share))
        entity.grad = None
        moving = self._average(optimizer)
        gradients = [value.grad for value in moving if value.grad is not None]
        of_rows = self._others.sum_up(rows.grad.square().sum())
        total = (torch.nn.utils.get_total_norm(gradients).square() + of_rows).sqrt()
        torch.nn.utils.clip_grads_with_norm_([*moving, rows], self._clip_norm, total)
        self.table.optimizer.step()

    @torch.no_grad()
    def _take_average(self) -> None:
        super()._take_average()
        if self.table.average is not None:
            self.table.average.lerp_(self.table.rows, 1 - self._kept())

    def _measured(self) -> Diagnostics | None:
        return None

    def _evaluated(self) -> RankingResult:
        return result_of(self._ranks("valid"), self.kg, "valid")

    def _rank(self) -> Ranking:
        found = super()._rank()
        if found.best:
            assert self.best_state is not None, "kept just now"
            del self.best_state["networks"]["model"]["entity"]
            self.table.keep_best()
        return found

    def _test(self) -> RankingResult:
        """The test split by the best weights, if any were ranked; nothing is changed."""
        if self.best_state is None:
            return result_of(self._ranks("test"), self.kg, "test")
        model = self.model
        assert isinstance(model, _PartModel), "made so"
        now, shown, entity = copy.deepcopy(model.state_dict()), model.rows, model.entity.detach()
        try:
            model.load_state_dict({**self.best_state["networks"]["model"], "entity": entity})
            model.rows = lambda: self._best_rows
            return result_of(self._ranks("test"), self.kg, "test")
        finally:
            model.rows = shown
            model.load_state_dict(now)

    @torch.no_grad()
    def _ranks(self, split: str) -> Tensor:
        """The filtered ranks (2n,) of a split's queries; each process counts the entities of its rows.

        Raises ValueError where a score is not a number, on all processes.
        """
        pairs, known = self.kg.queries(split), self.kg.known_answers
        entities = self.model.encode(self._graph.plan())
        own = entities[torch.from_numpy(self.part.own)]
        # Where an entity stands among the own rows, for those that do.
        place = np.full(self.kg.num_entities, -1, dtype=np.int64)
        place[self.part.entities[self.part.own]] = np.arange(len(own))
        order = np.lexsort((pairs[:, 1], pairs[:, 0]))
        found = torch.empty(len(pairs), dtype=torch.double)
        size = max(1, _MAX_SCORES // self.kg.num_entities)
        for part in (order[begin : begin + size] for begin in range(0, len(order), size)):
            heads, relations, answers = pairs[part].T
            asked = torch.zeros(len(part), own.shape[1], dtype=own.dtype)
            here = np.flatnonzero(place[heads] >= 0)
            ids = self._local[torch.from_numpy(heads[here])], torch.from_numpy(relations[here])
            asked[here] = self.model.queries(entities, *ids)
            scores = self.model.decoder.score_all(self._others.sum_up(asked), own)
            target = torch.zeros(len(part), 1, dtype=own.dtype)
            here = np.flatnonzero(place[answers] >= 0)
            target[here, 0] = scores[here, place[answers[here]]]
            self._others.sum_up(target)
            above = (scores > target).sum(1).double() + (scores >= target).sum(1)
            above[scores.isnan().any(1)] = torch.nan
            start, stop = known.ranges(heads, relations)
            row = np.repeat(np.arange(len(part)), stop - start)
            # Known answers one query after the other, by their places in the index.
            at = np.arange(len(row)) + np.repeat(
                start - np.cumsum(stop - start) + (stop - start), stop - start
            )
            column = place[known.answers[at]]
            row, column = row[column >= 0], column[column >= 0]
            others, against = scores[row, column], target[row, 0]
            counted = (others > against).double() + (others >= against)
            above.index_add_(0, torch.from_numpy(row), counted, alpha=-1)
            found[part] = 1 + self._others.sum_up(above) / 2
        if found.isnan().any():
            raise ValueError("some scores are not numbers, so nothing can be ranked")
        return found


class _PartModel(Model):
    """A `Model` whose table holds the entities of a part, filled anew before each encoding."""

    rows: Callable[[], Tensor]

    def __init__(
        self, model: Model, entity: nn.Parameter, vertices: int, rows: Callable[[], Tensor], table: Table
    ) -> None:
        """The weights of `model`, but `entity` (V, dim) for its table; `rows` gives those of this process, (O, dim)."""
        nn.Module.__init__(self)
        self.decoder, self.entity = model.decoder, entity
        self.relation, self.encoder = model.relation, model.encoder
        self.vertices, self.rows, self._table = vertices, rows, table

    def encode(self, plan: EdgePlan, dropout: torch.Generator | None = None) -> Tensor:
        """The vertices (S, dim) after messages; what is around them is encoded in part only, and left out."""
        self._table.pull(self.rows(), self.entity.detach())
        return super().encode(plan, dropout)[: self.vertices]


class _Messages(MessageGraph):
    """The messages that a part needs, of those triplets that carry some."""

    def __init__(self, part: Part, num_types: int) -> None:
        super().__init__(
            torch.from_numpy(part.edges), torch.from_numpy(part.types), len(part.entities), num_types
        )
        self._carried_by = torch.from_numpy(part.carried_by)

    def plan_of_triplets(self, keep: Tensor) -> EdgePlan:
        return self.plan(keep.index_select(0, self._carried_by))


def _subgraph(kg: KnowledgeGraph, part: Part) -> KnowledgeGraph:
    """The train triplets between vertices of a part, by local ids: all that a sampler sees."""
    heads, relations, tails = kg.array("train").T
    rows = np.stack([part.local[heads], relations, part.local[tails]], axis=1)
    inside = (rows[:, ::2] >= 0).all(1) & (rows[:, ::2] < part.vertices).all(1)
    names = [kg.entities[i] for i in part.entities[: part.vertices].tolist()]
    return KnowledgeGraph(rows[inside], [], [], names, kg.relations, kg.name)
