"""The model that was evaluated, as files that need nothing of this program to be read: vectors, names and facts.

model.safetensors     entities (N, dim), encoded: messages along all train edges are in them; relations (2R, ·), those
                      of the reciprocals last. float32, as they were evaluated in
config.json           settings, data set and hash, versions, seed; which weights these are, and of which epoch
entities.tsv          number and name of each row of entities; relations.tsv of the first R rows of relations
triplets/             train.txt, valid.txt and test.txt by name, as PyKEEN reads them; dataset.yaml and the .del files
                      by number, as LibKGE does
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import save
from safetensors.torch import load
from torch import Tensor, nn

from dans_core.decoders import DECODERS
from dans_core.kernels.edges import EdgePlan
from dans_core.kg import KnowledgeGraph
from dans_core.model import Model
from dans_core.networks import Networks
from dans_core.ranking import evaluate, popularity_floor
from dans_data import SPLITS
from dans_data.errors import InputError
from dans_data.known import Ids
from dans_data.triplets import printable
from dans_lab.export.model_card import Others, Rated, card
from dans_lab.inspection import Trained
from dans_lab.runs import bounded
from dans_lab.runs.records import Stored, read, to_json
from dans_lab.runs.run import MODEL, Run, Which, usual_weights
from dans_lab.runs.weights import epoch_of, load_weights

FACTS = "triplets"


class StoredModel(Stored):
    """config.json of a model: that of its run, which weights of it these are, and the epoch they are of."""

    weights: Which
    epoch: int


class Encoded(Model):
    """A base model whose encoder has done its work: entities (N, dim) and relations (2R, ·), ready for the decoder."""

    def __init__(self, decoder: str, entities: Tensor, relations: Tensor) -> None:
        nn.Module.__init__(self)
        self.decoder = DECODERS[decoder]
        self.entity = nn.Parameter(entities, requires_grad=False)
        self.relation = nn.Parameter(relations, requires_grad=False)

    def encode(self, plan: EdgePlan, dropout: torch.Generator | None = None) -> Tensor:
        """The entities as they are."""
        return self.entity


def model_of(
    run: Run, kg: KnowledgeGraph, which: Which | None, others: Others, command: str
) -> tuple[tuple[Which, int], str, dict[str, Callable[[], bytes]]]:
    """Which weights of a run these are and of which epoch, the model card, and how to make each of the files above.

    Raises InputError where there are no such weights, or they do not fit the graph.
    """
    usual = usual_weights(kg)
    which = which or usual
    state = run.load_checkpoint(which)
    with torch.no_grad():
        trained = Trained.of(load_weights(state, kg, run.config), kg, run.config)
    ranked, floor = evaluate(trained.networks.model, kg, "test"), popularity_floor(kg, "test")
    rated = Rated(ranked, floor, others(run, kg) if which == usual else None)
    weights = which, epoch_of(state, which)
    return weights, card(run, kg, *weights, rated, command), _files(run, trained, *weights)


def _files(run: Run, trained: Trained, which: Which, epoch: int) -> dict[str, Callable[[], bytes]]:
    kg = trained.kg
    stored = StoredModel(
        **run.meta.model_dump(exclude={"owner"}), config=run.config.model_dump(), weights=which, epoch=epoch
    )
    files: dict[str, Callable[[], bytes]] = {
        MODEL: lambda: _safetensors(trained),
        "config.json": lambda: to_json(stored),
        "entities.tsv": lambda: _numbered(kg.entities),
        "relations.tsv": lambda: _numbered(kg.relations),
    }
    for split in SPLITS:
        files[f"{FACTS}/{split}.txt"] = partial(_by_name, kg, split)
        files[f"{FACTS}/{split}.del"] = partial(_by_number, kg.array(split))
    files[f"{FACTS}/entity_ids.del"] = files["entities.tsv"]
    files[f"{FACTS}/relation_ids.del"] = files["relations.tsv"]
    files[f"{FACTS}/dataset.yaml"] = lambda: _for_libkge(kg)
    return files


def load_folder(folder: Path) -> tuple[Trained, Which, int]:
    """The model of such a folder with its graph and settings, which weights it has, and their epoch.

    Raises:
        InputError: a file that is missing, damaged, or does not go with the others.
    """
    stored = read(folder / "config.json", StoredModel)
    config = Run(folder).config
    kg = _graph(folder, stored)
    entities, relations = _vectors(folder / MODEL)
    wanted = (
        (kg.num_entities, config.dim),
        (
            2 * kg.num_relations,
            DECODERS[config.decoder].relation_dim(config.dim),
        ),
    )
    if (tuple(entities.shape), tuple(relations.shape)) != wanted:
        raise InputError(
            f"{folder / MODEL} has vectors for other entities or relations than the files beside it"
        )
    model = Encoded(config.decoder, entities, relations).eval()
    return Trained(Networks(model), kg, config, entities), stored.weights, stored.epoch


def _safetensors(trained: Trained) -> bytes:
    vectors = {"entities": trained.entities, "relations": trained.networks.model.relation.detach()}
    arrays = {name: np.ascontiguousarray(each.float().cpu().numpy()) for name, each in vectors.items()}
    return save(arrays, metadata={"format": "pt"})


def _vectors(file: Path) -> tuple[Tensor, Tensor]:
    try:
        found = load(bounded.content(file, bounded.ARRAY_BYTES))
        return found["entities"].float(), found["relations"].float()
    except (KeyError, SafetensorError) as error:
        raise InputError(f"{file} is not the model of an export ({printable(str(error), 80)})") from None


def _graph(folder: Path, stored: StoredModel) -> KnowledgeGraph:
    entities, relations = (_names(folder / f"{kind}.tsv") for kind in ("entities", "relations"))
    train, valid, test = (_numbers(folder / FACTS / f"{split}.del") for split in SPLITS)
    kg = KnowledgeGraph(train, valid, test, entities, relations, stored.dataset)
    if kg.hash != stored.hash:
        raise InputError(f"{folder} has other triplets or names than the model was trained on")
    return kg


def _numbered(names: tuple[str, ...]) -> bytes:
    return "".join(f"{number}\t{name}\n" for number, name in enumerate(names)).encode()


def _names(file: Path) -> list[str]:
    lines = bounded.text(file, bounded.ARRAY_BYTES).split("\n")[:-1]
    rows = [line.split("\t", 1) for line in lines]
    if [row[0] for row in rows] != [str(number) for number in range(len(rows))] or any(
        len(row) < 2 for row in rows
    ):
        raise InputError(f"{file} does not number its names from 0 up, a number and a name a line")
    return [row[1] for row in rows]


def _by_name(kg: KnowledgeGraph, split: str) -> bytes:
    return "".join("\t".join(map(_quoted, row)) + "\n" for row in kg.named(split)).encode()


def _quoted(name: str) -> str:
    # PyKEEN reads by pandas, for which a quotation mark at the beginning opens a text that goes on to the next one.
    return '"' + name.replace('"', '""') + '"' if name.startswith('"') else name


def _by_number(rows: Ids) -> bytes:
    return "".join(f"{head}\t{relation}\t{tail}\n" for head, relation, tail in rows.tolist()).encode()


def _numbers(file: Path) -> Ids:
    data = bounded.content(file, bounded.ARRAY_BYTES)
    try:
        return np.array(data.split(), dtype=np.int64).reshape(-1, 3)
    except (ValueError, OverflowError):
        raise InputError(f"{file} cannot be read; expected three numbers a line") from None


def _for_libkge(kg: KnowledgeGraph) -> bytes:
    """dataset.yaml in the form that LibKGE's `data/preprocess/util.py` writes; a split without triplets is left out."""
    values: dict[str, str | int] = {}
    for kind in ("entity", "relation"):
        values |= {f"files.{kind}_ids.filename": f"{kind}_ids.del", f"files.{kind}_ids.type": "map"}
    for split in SPLITS:
        if size := len(kg.array(split)):
            values |= {f"files.{split}.filename": f"{split}.del", f"files.{split}.size": size}
            values |= {f"files.{split}.split_type": split, f"files.{split}.type": "triples"}
    # In double quotes, since YAML takes some names for another kind of value.
    name = kg.name.replace("\\", "\\\\").replace('"', '\\"')
    values |= {"name": f'"{name}"', "num_entities": kg.num_entities, "num_relations": kg.num_relations}
    return "".join(["dataset:\n", *(f"  {key}: {value}\n" for key, value in values.items())]).encode()
