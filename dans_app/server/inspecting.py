"""Inspections of the networks of a run, made by a process of its own, `python -m dans_app.server.inspecting`.

It holds torch, whose import alone would hold up every click on the server for seconds.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, cast
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
import streamlit as st

from dans_app.server import helper
from dans_app.server.answers import KeptAnswers
from dans_core.kg import KnowledgeGraph
from dans_data.errors import InputError
from dans_data.stamps import Stamp, stamp
from dans_lab.runs.run import Run

if TYPE_CHECKING:
    from dans_lab.inspection import Arithmetic, Inspection, ProposalFigures, Question, Row, Trained
    from dans_lab.prediction import Calibration

Which = Literal["best", "last"]

FOREMOST = 15
"""Entities that are shown of what is proposed, the answer aside."""

LARGE = 5_000
"""Entities from which on to rank a split takes seconds."""

IDLE = 300.0
"""Seconds after which the process for long questions ends where no one asks it any; it has half a gigabyte."""

_PROCESS = helper.HelperProcess("dans_app.server.inspecting")

_FOR_LONG = helper.HelperProcess("dans_app.server.inspecting", idle=IDLE, patience=600.0)
"""For questions that take seconds: no one who looks at a triplet waits behind them. Started when first asked."""

_LONG_ON_LARGE = ("entities", "fill", "relations", "new", "reliability", "ranks", "floor")
"""What Predict and Compare ask: together, since all that Predict asks needs what was loaded and fitted once."""

_kept = KeptAnswers()


def torch_process() -> helper.HelperProcess:
    """The process that has torch, for other questions to it."""
    return _PROCESS


def warm_up() -> None:
    """Have the process import torch, so that the first inspection need not wait for it. Takes seconds."""
    _PROCESS.ask()


def look_ahead(run: Run, which: Which) -> None:
    """Have the process load these weights, so that the first inspection of them need not wait. Takes seconds.

    Raises InputError or RuntimeError where they cannot be loaded.
    """
    kept = stamp(run.path / f"{which}.pt") or (0, 0, 0)
    _PROCESS.ask(path=str(run.path.resolve()), which=which, stamp=kept, hash=run.meta.hash, ask="load")


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
    """What the weights of a run say of n triplets, as in `dans_lab.inspection.Judged`; shape (n,) each."""

    scores: npt.NDArray[np.float64]
    d_adv: npt.NDArray[np.float64]
    d_aux: npt.NDArray[np.float64]


def judge(run: Run, kg: KnowledgeGraph, which: Which, triplets: npt.NDArray[np.int64]) -> Opinions:
    """The decoder's scores of triplets (n, 3), and what D says of their tails; raises as `inspect` does."""
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


@dataclass(frozen=True)
class Answers:
    """What a run answers, best first: triplets (n, 3) in the original direction; the rest (n,) each.

    `ranks` are filtered ones, NaN for new facts of the graph; `probabilities` NaN of known facts, and where valid is
    too small for them.
    """

    triplets: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    ranks: npt.NDArray[np.float64]
    probabilities: npt.NDArray[np.float64]


def fill(
    run: Run, kg: KnowledgeGraph, which: Which, head: int, relation: int, top: int, typed: bool
) -> Answers:
    """Answers to (head, relation, ?), reciprocals too, down to the `top`th that is no known fact; raises as above."""
    return Answers(**_ask(run, kg, which, ask="fill", head=head, relation=relation, top=top, typed=typed))


def relations_between(run: Run, kg: KnowledgeGraph, which: Which, head: int, tail: int, top: int) -> Answers:
    """Answers to (head, ?, tail); raises as above."""
    return Answers(**_ask(run, kg, which, ask="relations", head=head, tail=tail, top=top))


def new_facts(run: Run, kg: KnowledgeGraph, which: Which, relation: int | None, top: int) -> Answers:
    """The triplets that the run is surest of and no split holds, of one relation or of all; raises as above."""
    return Answers(**_ask(run, kg, which, ask="new", relation=-1 if relation is None else relation, top=top))


@dataclass(frozen=True)
class Reliability:
    """What probabilities promised and what came of it on valid, bin by bin, and the mean distance (`error`)."""

    predicted: npt.NDArray[np.float64]
    observed: npt.NDArray[np.float64]
    answers: npt.NDArray[np.float64]
    error: float


def reliability(run: Run, kg: KnowledgeGraph, which: Which) -> Reliability | None:
    """How far the probabilities of a run can be trusted; None where valid is too small for any; raises as above."""
    found = _ask(run, kg, which, ask="reliability")
    if not found:
        return None
    return Reliability(found["predicted"], found["observed"], found["answers"], float(found["off"]))


def export(run: Run, which: Which) -> bytes:
    """What the command `export` writes, as a zip archive: the model, its card and all else; raises as above.

    It takes seconds, since the model is ranked for its card, and on a large graph more.
    """
    kept = stamp(run.path / f"{which}.pt") or (0, 0, 0)
    path = str(run.path.resolve())
    try:
        answer = _FOR_LONG.ask(path=path, which=which, stamp=kept, hash=run.meta.hash, ask="export")
        return answer["zip"].tobytes()
    except RuntimeError as error:
        raise InputError(f"its networks cannot be used ({error})") from None


def _ask(run: Run, kg: KnowledgeGraph, which: Which, **request: Any) -> helper.Arrays:
    """What the process answers about weights of a run, kept until they change."""
    kept = stamp(run.path / f"{which}.pt") or (0, 0, 0)
    path = str(run.path.resolve())
    long = kg.num_entities >= LARGE and request["ask"] in _LONG_ON_LARGE
    process = _FOR_LONG if long else _PROCESS

    def ask() -> helper.Arrays:
        with st.spinner("Loading the networks of this run …"):
            try:
                return process.ask(path=path, which=which, stamp=kept, hash=kg.hash, **request)
            except RuntimeError as error:
                raise InputError(f"its networks cannot be used ({error})") from None

    question = tuple((name, np.asarray(value).tobytes()) for name, value in sorted(request.items()))
    return _kept.get((path, which), (kept, kg.hash), question, ask)


# --- in the process --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Loaded:
    """Weights of a run with what they are used with, and the epoch they are of."""

    trained: Trained
    epoch: int

    @cached_property
    def calibration(self) -> Calibration | None:
        """Fitted when first asked for, which takes seconds on a large graph."""
        from dans_lab.prediction import calibrate

        return calibrate(self.trained)


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
    return {"scores": found.scores, "d_adv": found.d_adv, "d_aux": found.d_aux}


def _entities(loaded: _Loaded, request: helper.Arrays) -> helper.Arrays:
    return {"entities": loaded.trained.entities.numpy()}


def _rank(loaded: _Loaded, request: helper.Arrays) -> helper.Arrays:
    from dans_core.ranking import evaluate

    trained = loaded.trained
    return {"ranks": evaluate(trained.networks.model, trained.kg, str(request["split"])).ranks.numpy()}


def _floor(loaded: _Loaded, request: helper.Arrays) -> helper.Arrays:
    from dans_core.ranking import popularity_floor

    return {"ranks": popularity_floor(loaded.trained.kg, str(request["split"])).ranks.numpy()}


def _fill(loaded: _Loaded, request: helper.Arrays) -> helper.Arrays:
    from dans_lab.prediction import fill_tail

    head, relation = int(request["head"]), int(request["relation"])
    found = fill_tail(loaded.trained, head, relation, bool(request["typed"]))
    kg, count = loaded.trained.kg, found.until(int(request["top"]))
    given = np.full(count, head)
    triplets = np.stack([given, np.full(count, relation), found.ids[:count]], axis=1)
    if relation >= kg.num_relations:
        triplets = triplets[:, ::-1] - [0, kg.num_relations, 0]
    shares = found.shares[:count]
    return _answers(loaded, triplets, found.scores[:count], found.ranks[:count], shares)


def _relations(loaded: _Loaded, request: helper.Arrays) -> helper.Arrays:
    from dans_lab.prediction import fill_relation

    head, tail = int(request["head"]), int(request["tail"])
    found = fill_relation(loaded.trained, head, tail)
    count = found.until(int(request["top"]))
    triplets = np.stack([np.full(count, head), found.ids[:count], np.full(count, tail)], axis=1)
    return _answers(loaded, triplets, found.scores[:count], found.ranks[:count], None)


def _new(loaded: _Loaded, request: helper.Arrays) -> helper.Arrays:
    from dans_lab.prediction import new_facts, score

    relation = None if request["relation"] < 0 else int(request["relation"])
    fitted = loaded.calibration
    sure = None if fitted is None else fitted.sureness
    triplets, shares = new_facts(loaded.trained, int(request["top"]), relation, sure)
    none = np.full(len(triplets), np.nan)
    return _answers(loaded, triplets, score(loaded.trained, triplets), none, shares)


def _answers(
    loaded: _Loaded,
    triplets: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float64],
    ranks: npt.NDArray[np.float64],
    shares: npt.NDArray[np.float64] | None,
) -> helper.Arrays:
    fitted = None if shares is None else loaded.calibration
    chances = np.full(len(scores), np.nan)
    if fitted is not None and shares is not None:
        known = loaded.trained.kg.known_answers.contains(*triplets.T)
        chances = np.where(known, np.nan, fitted.probability(shares))
    return {"triplets": triplets, "scores": scores, "ranks": ranks, "probabilities": chances}


def _reliability(loaded: _Loaded, request: helper.Arrays) -> helper.Arrays:
    fitted = loaded.calibration
    if fitted is None:
        return {}
    bins = {name: np.array(getattr(fitted, name)) for name in ("predicted", "observed", "answers")}
    return bins | {"off": np.array(fitted.error)}


def _export(loaded: _Loaded, request: helper.Arrays) -> helper.Arrays:
    from dans_lab.export import run_export
    from dans_lab.sisters import sisters

    run = Run(Path(str(request["path"])))
    exported = run_export.export(run, cast(Which, str(request["which"])), sisters)
    packed, _ = run_export.zipped(exported, run.id)
    return {"zip": np.frombuffer(packed, dtype=np.uint8)}


_ANSWERS: dict[str, Callable[[_Loaded, helper.Arrays], helper.Arrays]] = {
    "load": lambda loaded, request: {},
    "inspect": _inspect,
    "explain": _explain,
    "propose": _propose,
    "judge": _judge,
    "entities": _entities,
    "ranks": _rank,
    "floor": _floor,
    "fill": _fill,
    "relations": _relations,
    "new": _new,
    "reliability": _reliability,
    "export": _export,
}

# Runs on the same data share it.
_graphs: WeakValueDictionary[str, KnowledgeGraph] = WeakValueDictionary()


@lru_cache(maxsize=6)
def _load(path: str, which: Which, kept: Stamp, graph_hash: str) -> _Loaded:
    """A run's weights with its graph; `kept`, the stamp of the file, and `graph_hash` renew a kept answer."""
    from dans_lab.inspection import Trained
    from dans_lab.runs.weights import epoch_of, load_weights

    run = Run(Path(path))
    kg = _graphs.get(graph_hash) or run.load_kg()
    _graphs[kg.hash] = kg
    state = run.load_checkpoint(which)
    epoch = epoch_of(state, which)
    return _Loaded(Trained.of(load_weights(state, kg, run.config), kg, run.config), epoch)


if __name__ == "__main__":
    from dans_lab.runs import process

    process.prepare()
    helper.serve(_answer)
