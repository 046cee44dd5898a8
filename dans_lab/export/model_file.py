"""The model that was evaluated, in one file that needs nothing of this program to be read: vectors, names, decoder."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dans_core.decoders import DECODERS
from dans_core.kg import KnowledgeGraph
from dans_core.ranking import RankingResult, rank
from dans_data.errors import InputError
from dans_data.triplets import printable
from dans_lab.inspection import encode
from dans_lab.runs.run import Run, Which
from dans_lab.runs.weights import epoch_of, load_weights

FIELDS = ("decoder", "epoch", "dataset", "hash", "entities", "relations", "entity_names", "relation_names")


@dataclass(frozen=True)
class ModelFile:
    """What `model.npz` holds.

    Attributes:
        decoder: "distmult", "complex" or "rotate".
        epoch: of the weights; `dataset` and `hash` name the facts they were trained on.
        entities: (N, dim), encoded: messages along all train edges are in them.
        relations: (2R, ·), those of the reciprocals last.
    """

    decoder: str
    epoch: int
    dataset: str
    hash: str
    entities: Tensor
    relations: Tensor
    entity_names: tuple[str, ...]
    relation_names: tuple[str, ...]

    def scores(self, heads: Tensor, relations: Tensor) -> Tensor:
        """Scores (B, N) of all entities as tails of queries by ids (B,), reciprocals included."""
        decoder = DECODERS[self.decoder]
        return decoder.score_all(
            decoder.query(self.entities[heads], self.relations[relations]), self.entities
        )

    def evaluate(self, kg: KnowledgeGraph, split: str = "test") -> RankingResult:
        """Filtered ranking of a split, as `dans_core.evaluate`. Raises InputError for a graph of other names."""
        names = tuple(kg.relation_name(number) for number in range(2 * kg.num_relations))
        if (kg.entities, names) != (self.entity_names, self.relation_names):
            raise InputError(
                f"{kg.name} has other entities or relations than {self.dataset}, which this model knows"
            )
        with torch.no_grad():
            return rank(self.scores, kg, split)


def model_npz(run: Run, kg: KnowledgeGraph, which: Which = "best") -> bytes:
    """The file of a run's weights, in the precision that they were evaluated in. Raises InputError without weights."""
    state = run.load_checkpoint(which)
    networks = load_weights(state, kg, run.config)
    stream = io.BytesIO()
    np.savez(
        stream,
        allow_pickle=False,
        decoder=np.asarray(run.config.decoder),
        epoch=np.asarray(epoch_of(state, which)),
        dataset=np.asarray(kg.name),
        hash=np.asarray(kg.hash),
        entities=encode(networks, kg).cpu().numpy(),
        relations=networks.model.relation.detach().cpu().numpy(),
        entity_names=np.asarray(kg.entities),
        relation_names=np.asarray([kg.relation_name(number) for number in range(2 * kg.num_relations)]),
    )
    return stream.getvalue()


def load_model(file: str | Path) -> ModelFile:
    """What `export` wrote as model.npz. Raises InputError for another file."""
    where = printable(str(file))
    try:
        with np.load(file, allow_pickle=False) as found:
            parts = {name: found[name] for name in FIELDS}
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(f"{where} is no model.npz of an export ({printable(str(error), 80)})") from None
    decoder = str(parts["decoder"])
    if decoder not in DECODERS:
        raise InputError(f"{where}: decoder {printable(decoder, 40)}; expected one of {', '.join(DECODERS)}")
    return ModelFile(
        decoder,
        int(parts["epoch"]),
        str(parts["dataset"]),
        str(parts["hash"]),
        torch.from_numpy(parts["entities"]),
        torch.from_numpy(parts["relations"]),
        tuple(parts["entity_names"].tolist()),
        tuple(parts["relation_names"].tolist()),
    )
