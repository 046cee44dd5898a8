"""Filtered ranking of a test split, ours beside PyKEEN's evaluator on the same scores."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmarks import graphs
from benchmarks.report import IN_TURNS, Section, sentence_rows
from benchmarks.timing import alternate, one_thread, show_ratio, show_seconds, timed, work
from dans_core import Config, KnowledgeGraph, evaluate
from dans_core.device import name_of
from dans_core.model import Model

_MOST_ON_LARGE = 2
# Triplets a batch for PyKEEN's evaluator: what it takes itself on a CPU, and one that spends more memory.
EVALUATION_BATCHES = (32, 256)
_METRICS = ("mrr", "hits_at_1", "hits_at_3", "hits_at_10")
_COLUMNS = [
    "PyKEEN ÷ ours",
    "bar",
    "graph",
    "queries",
    "ours",
    "ours, first time",
    "PyKEEN",
    "its batch",
    "MRR of both",
    "mean rank of both",
]
_BARS = {"nell-995": "several times, about 15 s"}
_NOTE = (
    "Test split, both sides, every entity a candidate, filtered with all three splits, realistic ties; ComplEx of "
    "{dim} numbers with random weights. MRR, hits and mean rank of both must be equal. Ours encodes the graph within "
    "its time; PyKEEN's `RankBasedEvaluator` is handed the encoded vectors, scores with our decoder, and computes no "
    "other metrics than these. *First time*: with the index of known facts, which the graph then keeps. PyKEEN's "
    "batch is the faster of {batches} triplets. Medians of {repeats} rounds, {large} on large graphs: {turns}."
)


def measure(
    datasets: Sequence[str], repeats: int, asked: str | torch.device = "cpu", alone: bool = False
) -> Section:
    """Seconds of a ranking of each graph's test split; with `alone`, by ours only."""
    device = one_thread(asked)
    found, missing = graphs.load(datasets)
    rounds = graphs.rounds(found, repeats, _MOST_ON_LARGE)
    # Rounds, and as much again for the first calls of ours and of the peer with each batch.
    effort = {
        name: (rounds[name] + 2) * (0.5 + len(kg.test) * kg.num_entities * 1e-7) for name, kg in found.items()
    }
    records = []
    with work(sum(effort.values())) as progress:
        for name, kg in found.items():
            progress.now(graphs.title(name))
            part = effort[name] / (rounds[name] + 2)
            record = {"graph": name, "queries": 2 * len(kg.test)}
            record |= _one(kg, rounds[name], device, alone, lambda part=part: progress.done(part))
            records.append(record)
    batches = " and ".join(map(str, EVALUATION_BATCHES))
    return Section(
        name="ranking",
        title="Filtered ranking",
        note=_NOTE.format(
            dim=Config().dim,
            batches=batches,
            repeats=repeats,
            large=min(repeats, _MOST_ON_LARGE),
            turns=IN_TURNS,
        ),
        columns=_COLUMNS,
        rows=[_row(record) for record in records] + sentence_rows(missing, _COLUMNS),
        records=records,
        on=name_of(device),
    )


def _one(
    kg: KnowledgeGraph, repeats: int, device: torch.device, alone: bool, done: Callable[[], None]
) -> dict[str, Any]:
    torch.manual_seed(0)
    model = Model(kg.num_entities, kg.num_relations, Config()).to(device)

    def rank() -> dict[str, float]:
        result = evaluate(model, kg, "test")
        metrics = {name: getattr(result, name) for name in _METRICS}
        return metrics | {"mean_rank": float(result.ranks.mean())}

    first = timed(rank)
    if alone:
        done()
        ours: dict[str, dict[str, float]] = {}
        seconds = alternate({"ours": rank}, repeats, done, ours.update)
        return {"seconds": seconds, "first_seconds": first, "metrics": ours}
    from benchmarks.peers import pykeen_ranking

    peers = {size: pykeen_ranking(model, kg, "test", size) for size in EVALUATION_BATCHES}
    trial = {size: timed(peer) for size, peer in peers.items()}
    batch = min(trial, key=trial.__getitem__)
    done()
    metrics: dict[str, dict[str, float]] = {}
    # Batches of other sizes round the scores differently, so one query may change its rank. Random weights put few
    # answers on top, where hits agree too easily: the mean rank must agree as well.
    allowed = dict.fromkeys(_METRICS, 1 / (2 * len(kg.test))) | {"mean_rank": 1e-5 * kg.num_entities}

    def check(results: dict[str, dict[str, float]]) -> None:
        metrics.update(results)
        for name, most in allowed.items():
            ours, theirs = (results[who][name] for who in ("ours", "pykeen"))
            if abs(ours - theirs) > most:
                raise AssertionError(f"{name} is {ours} here and {theirs} in PyKEEN")

    seconds = alternate({"ours": rank, "pykeen": peers[batch]}, repeats, done, check)
    return {
        "seconds": seconds,
        "first_seconds": first,
        "batch": batch,
        "batch_seconds": {str(size): value for size, value in trial.items()},
        "metrics": metrics,
    }


def _row(record: dict[str, Any]) -> list[str]:
    medians = {name: statistics.median(values) for name, values in record["seconds"].items()}
    theirs = medians.get("pykeen")
    metrics = [record["metrics"][name] for name in ("ours", "pykeen") if name in record["metrics"]]
    return [
        "–" if theirs is None else show_ratio(theirs, medians["ours"]),
        _BARS.get(record["graph"], ""),
        graphs.title(record["graph"]),
        f"{record['queries']:,}",
        show_seconds(medians["ours"]),
        show_seconds(record["first_seconds"]),
        "–" if theirs is None else show_seconds(theirs),
        str(record.get("batch", "–")),
        " / ".join(f"{found['mrr']:.6f}" for found in metrics),
        " / ".join(f"{found['mean_rank']:,.2f}" for found in metrics),
    ]
