"""Inspections of the networks of a run, made by a process of its own, `python -m dans_app.server.inspecting`.

It holds torch, whose import alone would hold up every click on the server for seconds.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, cast
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
import streamlit as st

from dans_app.server import helper
from dans_core.kg import KnowledgeGraph
from dans_data.errors import InputError
from dans_data.stamps import Stamp, stamp
from dans_lab.runs.run import Run

if TYPE_CHECKING:
    from dans_lab.inspection import Arithmetic, Inspection, ProposalFigures, Question, Row, Trained

Which = Literal["best", "last"]

FOREMOST = 15
"""Entities that are shown of what is proposed, the answer aside."""

_PROCESS = helper.HelperProcess("dans_app.server.inspecting")


def torch_process() -> helper.HelperProcess:
    """The process that has torch, for other questions to it."""
    return _PROCESS


def warm_up() -> None:
    """Have the process import torch, so that the first inspection need not wait for it. Takes seconds."""
    _PROCESS.ask()


def checkpoints(run: Run) -> list[Which]:
    """Which weights the run has so far, best first."""
    names: tuple[Which, ...] = ("best", "last")
    return [name for name in names if (run.path / f"{name}.pt").is_file()]


def inspect(
    run: Run, kg: KnowledgeGraph, which: Which, query: tuple[int, int, int], draws: int, seed: int
) -> tuple[Inspection, int]:
    """The negatives for the tail of a query (reciprocals too), and the epoch of the weights.

    Raises InputError where there is no checkpoint, or one that does not fit the data set.
    """
    answer = _ask(run, kg, which, ask="inspect", query=query, draws=draws, seed=seed)
    # With the attributes of an Inspection, whose own module imports torch.
    found = json.loads(str(answer["inspection"]), object_hook=lambda fields: SimpleNamespace(**fields))
    return cast("Inspection", found), int(answer["epoch"])


def explain(
    run: Run, kg: KnowledgeGraph, which: Which, query: tuple[int, int, int], draws: int, seed: int, row: Row
) -> Arithmetic:
    """How the scores of the positive and of one negative of `inspect` add up; raises as it does."""
    answer = _ask(
        run, kg, which, ask="explain", query=query, draws=draws, seed=seed, source=row.source, draw=row.draw
    )
    return cast("Arithmetic", SimpleNamespace(**answer))


@dataclass(frozen=True)
class Foremost:
    """What a run proposes for a query: the arrays of `Proposed` at the entities `ids`, and its figures of all."""

    ids: npt.NDArray[np.int64]
    readings: dict[str, npt.NDArray[np.float64]]
    mixed: npt.NDArray[np.float64]
    beliefs: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    figures: list[ProposalFigures]


def propose(
    run: Run, kg: KnowledgeGraph, which: Which, query: tuple[int, int, int], draws: int, seed: int
) -> Foremost:
    """What the fakes of draw 1 of `inspect` propose; raises as it does, and where they are no proposals."""
    answer = dict(_ask(run, kg, which, ask="propose", query=query, draws=draws, seed=seed))
    figures = json.loads(str(answer.pop("figures")), object_hook=lambda fields: SimpleNamespace(**fields))
    parts = {name: answer.pop(name) for name in ("ids", "mixed", "beliefs", "weights")}
    return Foremost(readings=answer, figures=figures, **parts)


@dataclass(frozen=True)
class Opinions:
    """What the weights of a run say of n triplets, shape (n,) each; `d_adv` is NaN without a GAN."""

    scores: npt.NDArray[np.float64]
    d_adv: npt.NDArray[np.float64]


def judge(run: Run, kg: KnowledgeGraph, which: Which, triplets: npt.NDArray[np.int64]) -> Opinions:
    """The decoder's scores of triplets (n, 3), and what D_adv says of their tails; raises as `inspect` does."""
    return Opinions(**_ask(run, kg, which, ask="judge", triplets=triplets))


def entities(run: Run, kg: KnowledgeGraph, which: Which) -> npt.NDArray[np.float32]:
    """The encoder's vectors of all entities, (N, dim); raises as `inspect` does."""
    return _ask(run, kg, which, ask="entities")["entities"]


def ranks(run: Run, kg: KnowledgeGraph, which: Which, split: str) -> npt.NDArray[np.float64]:
    """The filtered ranks of a split, shape (n, 2): of triplet i, the rank of its tail and its head; raises as above."""
    return _ask(run, kg, which, ask="ranks", split=split)["ranks"]


def floor_ranks(run: Run, kg: KnowledgeGraph, which: Which, split: str) -> npt.NDArray[np.float64]:
    """The same by the popularity floor of the run's data set; raises as above."""
    return _ask(run, kg, which, ask="floor", split=split)["ranks"]


def _ask(run: Run, kg: KnowledgeGraph, which: Which, **request: Any) -> helper.Arrays:
    """What the process answers about weights of a run, kept until they change."""
    kept = stamp(run.path / f"{which}.pt") or (0, 0, 0)
    return _answered(str(run.path.resolve()), which, kept, kg.hash, **request)


@st.cache_resource(max_entries=256, show_spinner="Loading the networks of this run …")
def _answered(path: str, which: Which, kept: Stamp, graph_hash: str, **request: Any) -> helper.Arrays:
    try:
        return _PROCESS.ask(path=path, which=which, stamp=kept, hash=graph_hash, **request)
    except RuntimeError as error:
        raise InputError(f"its networks cannot be used ({error})") from None


# --- in the process --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Loaded:
    """Weights of a run with what they are used with, and the epoch they are of."""

    trained: Trained
    epoch: int


def _answer(request: helper.Arrays) -> helper.Arrays:
    if not request:
        # Torch comes with them, and takes seconds.
        for module in ("dans_lab.inspection", "dans_lab.runs.weights", "dans_core.ranking"):
            importlib.import_module(module)
        return {}
    if str(request["ask"]) == "step":
        return importlib.import_module("dans_app.server.stepping").answer(request)
    kept = tuple(request["stamp"].tolist())
    loaded = _load(str(request["path"]), str(request["which"]), kept, str(request["hash"]))
    return _ANSWERS[str(request["ask"])](loaded, request)


def _inspect(loaded: _Loaded, request: helper.Arrays) -> helper.Arrays:
    from dans_lab.inspection import inspect_triplet

    seen = inspect_triplet(loaded.trained, _question(request))
    return {"inspection": np.array(json.dumps(dataclasses.asdict(seen))), "epoch": np.array(loaded.epoch)}


def _explain(loaded: _Loaded, request: helper.Arrays) -> helper.Arrays:
    from dans_lab.inspection import explain_score

    found = explain_score(loaded.trained, _question(request), str(request["source"]), int(request["draw"]))
    return {name: np.asarray(value) for name, value in vars(found).items()}


def _propose(loaded: _Loaded, request: helper.Arrays) -> helper.Arrays:
    from dans_lab.inspection import propose

    asked = _question(request)
    found = propose(loaded.trained, asked)
    ids = found.foremost(FOREMOST, asked.tail)
    named = {"mixed": found.mixed, "beliefs": found.beliefs, "weights": found.weights, **found.readings}
    figures = json.dumps([dataclasses.asdict(each) for each in found.figures])
    return {"ids": ids, "figures": np.array(figures), **{name: of[ids] for name, of in named.items()}}


def _question(request: helper.Arrays) -> Question:
    from dans_lab.inspection import Question

    head, relation, tail = request["query"].tolist()
    return Question(head, relation, tail, draws=int(request["draws"]), seed=int(request["seed"]))


def _judge(loaded: _Loaded, request: helper.Arrays) -> helper.Arrays:
    from dans_lab.inspection import judge

    found = judge(loaded.trained, request["triplets"])
    return {"scores": found.scores, "d_adv": found.d_adv}


def _entities(loaded: _Loaded, request: helper.Arrays) -> helper.Arrays:
    return {"entities": loaded.trained.entities.numpy()}


def _rank(loaded: _Loaded, request: helper.Arrays) -> helper.Arrays:
    from dans_core.ranking import evaluate

    trained = loaded.trained
    return {"ranks": evaluate(trained.networks.model, trained.kg, str(request["split"])).ranks.numpy()}


def _floor(loaded: _Loaded, request: helper.Arrays) -> helper.Arrays:
    from dans_core.ranking import popularity_floor

    return {"ranks": popularity_floor(loaded.trained.kg, str(request["split"])).ranks.numpy()}


_ANSWERS: dict[str, Callable[[_Loaded, helper.Arrays], helper.Arrays]] = {
    "inspect": _inspect,
    "explain": _explain,
    "propose": _propose,
    "judge": _judge,
    "entities": _entities,
    "ranks": _rank,
    "floor": _floor,
}

# Runs on the same data share it.
_graphs: WeakValueDictionary[str, KnowledgeGraph] = WeakValueDictionary()


@lru_cache(maxsize=6)
def _load(path: str, which: Which, kept: Stamp, graph_hash: str) -> _Loaded:
    """A run's weights with its graph; `kept`, the stamp of the file, and `graph_hash` renew a kept answer."""
    from dans_lab.inspection import Trained
    from dans_lab.runs.weights import load_weights

    run = Run(Path(path))
    kg = _graphs.get(graph_hash) or run.load_kg()
    _graphs[kg.hash] = kg
    state = run.load_checkpoint(which)
    epoch = state["progress"]["epoch"] if which == "last" else state["epoch"]
    return _Loaded(Trained.of(load_weights(state, kg, run.config), kg, run.config), int(epoch))


if __name__ == "__main__":
    from dans_lab.runs import process

    process.prepare()
    helper.serve(_answer)
