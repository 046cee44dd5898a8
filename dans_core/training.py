"""The Trainer: the alternating updates of base model, generator and discriminator, stage by stage."""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dans_core import diagnostics
from dans_core.batch import Batch
from dans_core.config import Config
from dans_core.device import choose, name_of, on_cpu
from dans_core.events import Diagnostics, Event, Finished, Losses, Ranking, Snapshot, from_dict, to_dict
from dans_core.facts import TrainFacts
from dans_core.kernels.edges import train_graph
from dans_core.kernels.ranks import RanksOf, ranks
from dans_core.kg import KnowledgeGraph
from dans_core.loss import base_loss
from dans_core.model import Model
from dans_core.networks import Networks, random_sources
from dans_core.ranking import RankingResult, evaluate
from dans_core.samplers.catalogue import class_of
from dans_core.samplers.contract import Sources
from dans_core.samplers.dans import Dans
from dans_core.samplers.uniform import Uniform
from dans_data.errors import InputError
from dans_data.metrics import TERMS

_PROGRESS = (
    "epoch", "_chunk", "_next", "stage_number", "seconds", "_epoch_seconds", "best_mrr", "best_epoch"
)  # fmt: skip
"""The numbers of a trainer that say how far it is; a checkpoint has them without the underscore."""


class Diverged(RuntimeError):
    """A loss was not a number; the run cannot go on."""

    def __init__(self, epoch: int, part: str) -> None:
        self.epoch = epoch
        super().__init__(
            f"diverged at epoch {epoch}: {part} has numbers beyond all bounds; a lower learning rate may help"
        )


@dataclass(frozen=True)
class Stage:
    """One finished stage: its place in the run, its losses, and the news it brought.

    `number` counts stages from 1 over the whole run; `name` is encode, G_E, G_R, D or base.
    """

    number: int
    epoch: int
    name: str
    values: dict[str, float]
    events: tuple[Event, ...] = ()


@dataclass
class Shared:
    """What the stages of one iteration share; rebuilt on resume, never saved.

    `entities` (N, dim) and `queries` (Q, dim) have their history; `constants` are the same two without it: what G and
    D see.
    """

    batch: Batch
    entities: Tensor
    queries: Tensor
    constants: tuple[Tensor, Tensor]


@dataclass
class _Sums:
    """Running means of the losses of the current epoch."""

    total: dict[str, float] = field(default_factory=dict)
    count: dict[str, int] = field(default_factory=dict)

    def add(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.total[name] = self.total.get(name, 0.0) + value
            self.count[name] = self.count.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        return {name: self.total[name] / self.count[name] for name in self.total}


class Trainer:
    """Trains on a knowledge graph; advance it with `step()`, or iterate over its events.

    One iteration is encode → k_G × (G_E, G_R) → k_D × D → base (method, section 5), without a pathway that the
    settings leave out. The random numbers of order, message split, dropout, negatives and noise come from
    generators of its own, so several trainers in a process, rankings in between, or other users of torch's
    global state change nothing.

    Iteration may be left and taken up again anywhere; `state_dict()` may be taken after any stage.

    It trains on the device that `device.choose` finds. Those random numbers are drawn on the CPU, so a seed draws the
    same ones on each; a run may go on from a checkpoint on another device than it was begun on.

    Attributes:
        device: where everything is, and `device_name` that in words.
        model: the base model, as of the last step or averaged over steps, as the settings say. `networks` adds
            generator and discriminator.
        epoch: finished epochs. `stage` is the name of the next stage, `stage_number` the stages done.
        best_mrr: the best valid ranking so far; `best_epoch` and `best_state` are the weights that gave it.
        seconds: training time so far, without pauses.

    Raises:
        Diverged: from `step()`, when a loss is not a number.
    """

    def __init__(self, kg: KnowledgeGraph, config: Config, device: str | torch.device = "auto") -> None:
        if kg.num_entities < 2:
            raise InputError(f"{kg.name} has one entity only, so no triplet can have a negative")
        self.kg, self.config = kg, config
        self.device = choose(device)
        self.device_name = name_of(self.device)
        self._random, seed = random_sources(config.seed)
        with torch.random.fork_rng(devices=[]):
            # Of the CPU's alone: the global source of a GPU is not ours to seed.
            torch.default_generator.manual_seed(seed)
            self._moving = Model(kg.num_entities, kg.num_relations, config).to(self.device)
            given = config, TrainFacts(kg, self.device), self._moving.decoder
            sources = Sources(self._random["negatives"], self._random["noise"])
            self._sampler = class_of(config.sampler)(*given, sources)
            self._stand_in = Uniform(*given, sources)
            self._dans = self._sampler if isinstance(self._sampler, Dans) else None
        self.model = copy.deepcopy(self._moving) if config.average else self._moving
        dans = self._dans
        generator, discriminator = (dans.generator, dans.discriminator) if dans else (None, None)
        chosen = (lambda: self._sampler) if config.declaration.chooses and not dans else None
        self.networks = Networks(self.model, generator, discriminator, chosen)
        self._optimizer = torch.optim.Adam(self._moving.parameters(), lr=config.lr, fused=True)
        self._graph = train_graph(kg, self.device)
        self._whole_batch: Batch | None = None
        self._ranks_of: RanksOf = ranks
        self._order: Tensor | None = None
        self._chunk = self._next = 0
        self._sums = _Sums()
        self._at_encode: dict[str, Tensor] = {}
        self._shared: Shared | None = None
        self._pending: deque[Event] = deque()
        self.epoch = self.stage_number = 0
        self.seconds = self._epoch_seconds = 0.0
        self.best_mrr = -1.0
        self.best_epoch = 0
        self.best_state: dict[str, Any] | None = None

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or it ended early."""
        config = self.config
        return self.epoch >= config.epochs or config.out_of_patience(self.epoch, self.best_epoch)

    @property
    def warming_up(self) -> bool:
        """Whether random negatives stand in for the sampler in the current epoch."""
        return self.config.waits and self.epoch < self.config.warmup_epochs

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages of an iteration of the current epoch, in order."""
        if self._dans is None or self.warming_up or self._since_warm_up % self.config.play_every:
            return ("encode", "base")
        game = tuple(self._dans.generator.pathways) * self.config.k_g + ("D",) * self.config.k_d
        return ("encode", *game, "base")

    @property
    def stage(self) -> str:
        """The name of the stage that `step()` will do next."""
        return self.stages[self._next]

    @property
    def shared(self) -> Shared | None:
        """What the stages of the current iteration share, from its encode to its base; else None."""
        return self._shared

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        while not self._pending:
            if self.finished:
                raise StopIteration
            self._pending.extend(self.step().events)
        return self._pending.popleft()

    def step(self) -> Stage:
        """Do the next stage, and return its losses and news.

        Raises:
            RuntimeError: if the run is finished already.
            Diverged: if a loss is not a number.
        """
        if self.finished:
            raise RuntimeError(f"the run finished at epoch {self.epoch}")
        started = time.perf_counter()
        epoch, name = self.epoch + 1, self.stage
        events: list[Event] = []
        if not self.stage_number:
            events.append(Snapshot(0, "000000.npz"))
        if name == "encode":
            values = self._encode()
        elif name == "base":
            values = self._base()
        else:
            values = self._play(name)
        for part, value in values.items():
            if not np.isfinite(value):
                raise Diverged(epoch, f"the loss {part}")
        self._sums.add(values)
        self._next += 1
        elapsed = time.perf_counter() - started
        self.seconds += elapsed
        self._epoch_seconds += elapsed
        if name == "base":
            self._next = 0
            self._shared = None
            self._chunk += 1
            if self._chunk == self._num_chunks:
                events += self._end_epoch()
        self.stage_number += 1
        return Stage(self.stage_number, epoch, name, values, tuple(events))

    @property
    def _num_chunks(self) -> int:
        return -(-len(self.kg.train) // self.config.batch_size)

    @property
    def _since_warm_up(self) -> int:
        """Steps of the base model since the warm-up."""
        return (self.epoch - self.config.warmup_epochs) * self._num_chunks + self._chunk

    def _encode(self) -> dict[str, float]:
        """Draw the batch and the message edges, and encode all entities."""
        n = len(self.kg.train)
        if self._chunk == 0 and self._num_chunks > 1:
            self._order = torch.randperm(n, generator=self._random["order"])
        self._at_encode = {name: self._random[name].get_state() for name in ("split", "dropout")}
        self._shared = self._make_step()
        return {}

    def _make_step(self) -> Shared:
        config, kg = self.config, self.kg
        n = len(kg.train)
        keep = torch.rand(n, generator=self._random["split"]) < config.message_split
        rows = None
        if self._order is not None:
            rows = self._order[self._chunk * config.batch_size : (self._chunk + 1) * config.batch_size]
        if not config.score_message_edges:
            rows = torch.arange(n) if rows is None else rows
            if keep[rows].all():
                # Nothing would be left to score, so this batch carries no messages.
                keep[rows] = False
            rows = rows[~keep[rows]]
        batch = self._batch(rows)
        plan = self._graph.plan_of_triplets(keep.to(self.device))
        entities = self._moving.encode(plan, self._random["dropout"])
        queries = self._moving.queries(entities, batch.heads, batch.relations)
        return Shared(batch, entities, queries, (entities.detach(), queries.detach()))

    def _batch(self, rows: Tensor | None) -> Batch:
        if rows is not None:
            return Batch.of_triplets(self.kg.train[rows].to(self.device), self.kg.num_relations)
        if self._whole_batch is None:
            self._whole_batch = Batch.of_triplets(self.kg.train.to(self.device), self.kg.num_relations)
        return self._whole_batch

    def _step_state(self) -> Shared:
        assert self._shared is not None, "every iteration begins with encode"
        return self._shared

    def _play(self, name: str) -> dict[str, float]:
        """One update of G_E, G_R or D; embeddings of entities and relations are constants to it."""
        step = self._step_state()
        assert self._dans is not None
        if name == "D":
            return self._dans.update_discriminator(step.batch, *step.constants)
        return self._dans.update_generator(name, step.batch, *step.constants)

    def _base(self) -> dict[str, float]:
        """One update of the base model on positives and negatives, fakes being constants."""
        step = self._step_state()
        sampler = self._sampler
        if self.warming_up:
            sampler.rehearse(step.batch)
            sampler = self._stand_in
        negatives = sampler.negatives(step.batch, *step.constants)
        loss = base_loss(
            self._moving.decoder,
            self.config.loss,
            step.batch,
            step.entities,
            step.queries,
            negatives,
            self.config.temperature,
        )
        l2 = step.entities.square().mean() + self._moving.relation.square().mean()
        self._optimizer.zero_grad(set_to_none=True)
        (loss + self.config.l2 * l2).backward()
        torch.nn.utils.clip_grad_norm_(self._moving.parameters(), self.config.clip_norm, foreach=True)
        self._optimizer.step()
        self._take_average()
        return {"base": float(loss.detach())}

    @torch.no_grad()
    def _take_average(self) -> None:
        """Let the running average of the weights follow by a step; it forgets its beginning faster."""
        if self.config.average:
            far = 1 - self._kept()
            torch._foreach_lerp_(list(self.model.parameters()), list(self._moving.parameters()), far)

    def _kept(self) -> float:
        steps = self.epoch * self._num_chunks + self._chunk
        return min(self.config.average, (1 + steps) / (10 + steps))

    def _end_epoch(self) -> list[Event]:
        config = self.config
        means = self._sums.means()
        warm_up = self.warming_up
        # Players move in a round of the game only.
        dans = self._dans if len(means) > 1 else None
        moved = [("G", dans.generator), ("D", dans.discriminator)] if dans else []
        for part, network in (("the base model", self._moving), *moved):
            largest = torch.nn.utils.get_total_norm(list(network.parameters()), norm_type=torch.inf)
            if not largest.isfinite():
                raise Diverged(self.epoch + 1, part)
        self.epoch += 1
        self._chunk, self._order, self._sums = 0, None, _Sums()
        losses = Losses(epoch=self.epoch, warm_up=warm_up, seconds=self._epoch_seconds, **means)
        events: list[Event] = [losses]
        self._epoch_seconds = 0.0
        started = time.perf_counter()
        if (self.epoch % config.eval_every == 0 or self.finished) and len(self.kg.valid):
            events.append(self._rank())
        due = self.epoch % config.diagnose_every == 0 or self.finished
        if due and (measured := self._measured()):
            if not _finite(measured):
                raise Diverged(self.epoch, "the measured fakes")
            events.append(measured)
        if self.epoch % config.snapshot_every == 0 or self.finished:
            events.append(Snapshot(self.epoch, f"{self.epoch:06d}.npz"))
        self.seconds += time.perf_counter() - started
        if self.finished:
            ranked = self.best_state is not None
            best_epoch, best_mrr = (self.best_epoch, self.best_mrr) if ranked else (None, None)
            events.append(Finished(self.epoch, best_epoch, best_mrr, self.seconds))
        return events

    def _measured(self) -> Diagnostics | None:
        return diagnostics.measure(self.networks, self.kg, self.config, self.epoch)

    def _evaluated(self) -> RankingResult:
        return evaluate(self.model, self.kg, "valid", self._ranks_of)

    def _rank(self) -> Ranking:
        result = self._evaluated()
        best = result.mrr > self.best_mrr
        if best:
            self.best_mrr, self.best_epoch = result.mrr, self.epoch
            self.best_state = {
                "networks": copy.deepcopy(on_cpu(self.networks.state_dict())),
                "sampler": {} if self._dans else copy.deepcopy(on_cpu(self._sampler.state_dict())),
                "epoch": self.epoch,
                "mrr": result.mrr,
            }
        figures = {name: getattr(result, name) for name in TERMS}
        return Ranking(epoch=self.epoch, split="valid", best=best, **figures)

    def best_weights(self) -> dict[str, Any] | None:
        """What gave the best valid ranking so far, as best.pt holds it."""
        return self.best_state

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on with the same numbers, on any device: plain values and tensors of the CPU."""
        return {
            "networks": on_cpu(self.networks.state_dict()),
            "moving": on_cpu(self._moving.state_dict()) if self.config.average else None,
            "optimizer": on_cpu(self._optimizer.state_dict()),
            "sampler": on_cpu(self._sampler.state_dict()),
            "random": {name: source.get_state() for name, source in self._random.items()},
            "at_encode": dict(self._at_encode) if self._next else {},
            "order": self._order,
            "sums": [dict(self._sums.total), dict(self._sums.count)],
            "best": self.best_state,
            "pending": [to_dict(event) for event in self._pending],
            "progress": {name.lstrip("_"): getattr(self, name) for name in _PROGRESS},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a run where `state_dict` left it; the graph and the settings must be the same."""
        self.networks.load_state_dict(state["networks"])
        if self.config.average:
            self._moving.load_state_dict(state["moving"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._sampler.load_state_dict(state["sampler"])
        for name, source in self._random.items():
            source.set_state(state["random"][name])
        self._at_encode = dict(state["at_encode"])
        self._order = state["order"]
        self._sums = _Sums(dict(state["sums"][0]), dict(state["sums"][1]))
        self.best_state = state["best"]
        for name in _PROGRESS:
            setattr(self, name, state["progress"][name.lstrip("_")])
        self._pending = deque(map(from_dict, state["pending"]))
        self._shared = None
        if self._next:
            # Within an iteration the encoding is made again from the random states it started with; the base
            # model has not moved since, so it comes out the same and leaves the same states behind.
            for name, value in self._at_encode.items():
                self._random[name].set_state(value)
            self._shared = self._make_step()


def _finite(measured: Diagnostics) -> bool:
    sides = (measured.g_e, measured.g_r, measured.sampled)
    parts = [asdict(measured), *(asdict(side) for side in sides if side is not None)]
    return all(bool(np.isfinite(x)) for part in parts for x in part.values() if isinstance(x, float))
