"""The peers: PyKEEN's R-GCN and its evaluator, set up to do the same work as ours."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from pykeen.evaluation import RankBasedEvaluator
from pykeen.losses import BCEWithLogitsLoss
from pykeen.models import RGCN
from pykeen.nn.modules import ComplExInteraction, DistMultInteraction, Interaction, RotatEInteraction
from pykeen.training import SLCWATrainingLoop
from pykeen.triples import CoreTriplesFactory
from torch import Tensor

from dans_core import Config, KnowledgeGraph
from dans_core.device import CPU
from dans_core.kernels.edges import train_graph
from dans_core.model import Model


class RealAsComplex(Interaction):
    """One of PyKEEN's complex interactions on real vectors, read as pairs of real and imaginary part.

    PyKEEN's R-GCN makes real vectors only. The pairs are a view, so this costs the peer nothing.
    """

    def __init__(self, complex_interaction: Interaction, margin: float = 0.0) -> None:
        super().__init__()
        self.complex_interaction = complex_interaction
        self.margin = margin

    def forward(self, h: Tensor, r: Tensor, t: Tensor) -> Tensor:
        """(…, d) each, broadcast → (…)."""
        h, r, t = (torch.view_as_complex(x.unflatten(-1, (-1, 2))) for x in (h, r, t))
        return self.margin + self.complex_interaction(h, r, t)


def interaction(decoder: str) -> Interaction:
    """PyKEEN's interaction of this name, on real vectors."""
    if decoder == "distmult":
        return DistMultInteraction()
    if decoder == "complex":
        return RealAsComplex(ComplExInteraction())
    return RealAsComplex(RotatEInteraction(p=1), margin=12.0)


class PykeenRun:
    """PyKEEN's R-GCN in training, with the sizes, the base learning rate and the seed of `config`.

    Uniform negatives, as many per triplet as ours per query; binary cross-entropy; Adam. Each triplet is scored
    once, not once per direction as ours does, so an epoch of this is half the scores. With `batches`, only so many
    batches of an epoch; the messages still run over the whole graph in each.
    """

    def __init__(
        self,
        kg: KnowledgeGraph,
        config: Config,
        batch_size: int,
        device: torch.device = CPU,
        batches: int | None = None,
    ) -> None:
        quiet()
        self._kg = kg
        graph = CoreTriplesFactory(kg.train, kg.num_entities, kg.num_relations)
        some = slice(None) if batches is None else torch.randperm(len(kg.train))[: batches * batch_size]
        self._positives = CoreTriplesFactory(kg.train[some], kg.num_entities, kg.num_relations)
        self._batch_size = min(batch_size, len(kg.train[some]))
        self._done = 0
        # Its seed is also the seed of the negatives and of the order of the triplets.
        self._model = RGCN(
            triples_factory=graph,
            embedding_dim=config.dim,
            num_layers=config.layers,
            interaction=interaction(config.decoder),
            loss=BCEWithLogitsLoss(),
            activation="relu",
            edge_dropout=1 - config.message_split,
            decomposition="bases",
            decomposition_kwargs={"num_bases": config.bases},
            random_seed=config.seed,
        ).to(device)
        self._loop = SLCWATrainingLoop(
            model=self._model,
            triples_factory=self._positives,
            optimizer=torch.optim.Adam(self._model.parameters(), lr=config.lr),
            negative_sampler_kwargs={"num_negs_per_pos": config.negatives},
            automatic_memory_optimization=False,
        )

    def epoch(self) -> None:
        """Train for one more epoch."""
        self._done += 1
        self._loop.train(
            triples_factory=self._positives,
            num_epochs=self._done,
            batch_size=self._batch_size,
            use_tqdm=False,
            continue_training=self._done > 1,
            pin_memory=False,
        )

    def mrr(self, split: str) -> float:
        """MRR of a split by PyKEEN's evaluator: both sides, realistic, filtered with all splits."""
        return _ranking(self._model, self._kg, split, 256)()["mrr"]


def pykeen_bytes_held(kg: KnowledgeGraph, config: Config) -> int:
    """What a training step of PyKEEN's R-GCN holds at the least: each relation's sums (N, dim) of both directions."""
    return config.layers * 2 * kg.num_relations * kg.num_entities * config.dim * 4


class _Scores(torch.nn.Module):
    """As much of a PyKEEN model as its evaluator asks for: the scores of ours, from vectors encoded already."""

    def __init__(self, model: Model, kg: KnowledgeGraph) -> None:
        super().__init__()
        self.model = model
        self.num_entities = kg.num_entities
        self.num_relations = kg.num_relations
        self.device = model.entity.device
        with torch.no_grad():
            self.entities = model.encode(train_graph(kg, self.device).plan())

    def predict(self, hrt_batch: Tensor, target: str, **_: object) -> Tensor:
        """(B, 3) → (B, N): every tail, or every head by the reciprocal relation."""
        heads, relations, tails = hrt_batch.T
        if target == "head":
            heads, relations = tails, relations + self.num_relations
        return self.model.decoder.score_all(
            self.model.queries(self.entities, heads, relations), self.entities
        )


def pykeen_ranking(
    model: Model, kg: KnowledgeGraph, split: str, batch_size: int
) -> Callable[[], dict[str, float]]:
    """A call that ranks a split with PyKEEN's evaluator by our scores; as `_ranking`."""
    quiet()
    return _ranking(_Scores(model, kg), kg, split, batch_size)


def _ranking(
    scores: torch.nn.Module, kg: KnowledgeGraph, split: str, batch_size: int
) -> Callable[[], dict[str, float]]:
    """A call that ranks a split: MRR, mean rank and hits of both sides, realistic, filtered with all splits."""
    evaluator = RankBasedEvaluator(
        filtered=True,
        metrics=["inverse_harmonic_mean_rank", "arithmetic_mean_rank", *["hits_at_k"] * 3],
        metrics_kwargs=[None, None, *({"k": k} for k in (1, 3, 10))],
        add_defaults=False,
    )
    others = [part for part in ("train", "valid", "test") if part != split]

    def rank() -> dict[str, float]:
        result = evaluator.evaluate(
            scores,
            getattr(kg, split),
            batch_size=batch_size,
            use_tqdm=False,
            additional_filter_triples=[getattr(kg, part) for part in others],
        )
        names = {"mrr": "inverse_harmonic_mean_rank", "mean_rank": "arithmetic_mean_rank"}
        names |= {f"hits_at_{k}": f"hits_at_{k}" for k in (1, 3, 10)}
        return {ours: result.get_metric(f"both.realistic.{theirs}") for ours, theirs in names.items()}

    return rank


def quiet() -> None:
    """No advice from PyKEEN in the middle of a table."""
    for name in ("pykeen", "torch_max_mem"):
        logging.getLogger(name).setLevel(logging.ERROR)
    torch.sparse.check_sparse_tensor_invariants.disable()
