"""Seconds until the valid MRR on UMLS reaches a mark, beside the time of PyKEEN epochs."""

from __future__ import annotations

import math
import statistics
import time
from typing import Any

import torch

from benchmarks import graphs
from benchmarks.epoch import PYKEEN_BATCH
from benchmarks.report import SAMPLERS, Section
from benchmarks.timing import one_thread, show_ratio, show_seconds, timed, work
from dans_core import Config, KnowledgeGraph, Trainer
from dans_core.device import name_of
from dans_core.events import Ranking

MARKS = (0.80, 0.85, 0.88, 0.90)
_GRAPH = "umls"
_PEER_EPOCHS = 12
_BARS = {("dans", 0.88): "≥ 1x"}
_COLUMNS = [
    f"{_PEER_EPOCHS} PyKEEN epochs ÷ ours", "bar", "negatives", "valid MRR", "median time", "fastest … slowest",
    "median epoch", "seeds that reach it",
]  # fmt: skip
_NOTE = (
    "{graph}, {decoder}, one thread, default settings, seeds 0 to {last}: wall time of training with everything that "
    "goes with it (ranking, diagnostics; no files written) until a ranking of the valid split first reaches the "
    "mark, at most {epochs} epochs. A seed that never does counts as slower than all others.{beside}"
)
_BESIDE = (
    " Beside it {peer} epochs of PyKEEN's `RGCN` with the same decoder in its default batches, timed after the runs "
    "of each seed in the same process, from a fresh model of that seed, without making it: median {seconds}. They do "
    "not end at the mark: ranked once after them by PyKEEN's evaluator, outside the time (filtered with all splits, "
    "both sides, realistic), the valid MRR of that model is {mrr}."
)


def measure(
    decoder: str,
    seeds: int,
    epochs: int | None = None,
    asked: str | torch.device = "cpu",
    alone: bool = False,
) -> Section:
    """Time to each of `MARKS` over seeds; `epochs` shortens the runs, and with `alone` ours are all that is timed."""
    device = one_thread(asked)
    kg = KnowledgeGraph.load(_GRAPH)
    settings = {"epochs": epochs} if epochs else {}
    config = Config(decoder=decoder, **settings)
    records: list[dict[str, Any]] = []
    peer_seconds, peer_mrr = [], []
    with work(3.0 * seeds) as progress:
        if not alone:
            from benchmarks.peers import PykeenRun

            # PyKEEN's first epoch in a process is slower.
            PykeenRun(kg, config, PYKEEN_BATCH, device).epoch()
        for seed in range(seeds):
            for sampler in SAMPLERS:
                progress.now(f"seed {seed}, {SAMPLERS[sampler]}")
                records.append(_run(kg, config.with_values(sampler=sampler, seed=seed), device))
                progress.done(1)
            if not alone:
                progress.now(f"seed {seed}, PyKEEN")
                peer = PykeenRun(kg, config.with_values(seed=seed), PYKEEN_BATCH, device)
                peer_seconds.append(timed(lambda peer=peer: [peer.epoch() for _ in range(_PEER_EPOCHS)]))
                peer_mrr.append(peer.mrr("valid"))
            progress.done(1)
    theirs = None if alone else statistics.median(peer_seconds)
    beside = ""
    if theirs is not None:
        told = f"{statistics.median(peer_mrr):.3f} in the median, {min(peer_mrr):.3f} … {max(peer_mrr):.3f}"
        beside = _BESIDE.format(peer=_PEER_EPOCHS, seconds=show_seconds(theirs), mrr=told)
        records.append({"pykeen_epochs": _PEER_EPOCHS, "seconds": peer_seconds, "valid_mrr": peer_mrr})
    return Section(
        name="quality",
        title="Time to quality",
        note=_NOTE.format(
            graph=graphs.title(_GRAPH),
            decoder=decoder,
            last=seeds - 1,
            epochs=config.epochs,
            beside=beside,
        ),
        columns=_COLUMNS,
        rows=[_row(records, sampler, mark, theirs) for sampler in SAMPLERS for mark in MARKS],
        records=records,
        on=name_of(device),
    )


def _run(kg: KnowledgeGraph, config: Config, device: torch.device) -> dict[str, Any]:
    """One run until the last mark or the last epoch: when each mark was reached."""
    reached: dict[str, dict[str, float]] = {}
    best = 0.0
    started = time.perf_counter()
    for event in Trainer(kg, config, device):
        if isinstance(event, Ranking):
            elapsed = time.perf_counter() - started
            best = max(best, event.mrr)
            for mark in MARKS:
                if event.mrr >= mark and str(mark) not in reached:
                    reached[str(mark)] = {"seconds": elapsed, "epoch": event.epoch}
            if len(reached) == len(MARKS):
                break
    return {"decoder": config.decoder, "sampler": config.sampler, "seed": config.seed} | {
        "reached": reached,
        "best_mrr": best,
    }


def _row(records: list[dict[str, Any]], sampler: str, mark: float, theirs: float | None) -> list[str]:
    runs = [r["reached"].get(str(mark)) for r in records if r.get("sampler") == sampler]
    hits = [run for run in runs if run]
    # Never is a number too, so that the median is over all seeds.
    ours = statistics.median(run["seconds"] if run else math.inf for run in runs)
    epoch = statistics.median(run["epoch"] if run else math.inf for run in runs)
    known = math.isfinite(ours)
    spread = (
        [show_seconds(pick(run["seconds"] for run in hits)) for pick in (min, max)] if hits else ["never"]
    )
    return [
        show_ratio(theirs, ours) if known and theirs is not None else "–",
        _BARS.get((sampler, mark), ""),
        SAMPLERS[sampler],
        f"{mark:.2f}",
        show_seconds(ours) if known else "not reached",
        " … ".join(spread),
        f"{epoch:.0f}" if known else "–",
        f"{len(hits)} of {len(runs)}",
    ]
