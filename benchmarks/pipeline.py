"""PyKEEN's pipeline on UMLS with its basic negative sampler beside ours, over seeds: MRR at equal epochs."""

from __future__ import annotations

import gc
import statistics
import time
from typing import Any

import numpy as np
from scipy import stats

from benchmarks import graphs
from benchmarks.report import Section
from benchmarks.timing import one_thread, show_seconds, work

_GRAPH, _RUN = "umls", "umls-complex-dans"
_MODEL, _DIM, _NEGATIVES, _BATCH, _RATE = "complex", 32, 5, 1024, 0.05
BASIC = "basic"
SAMPLERS = {BASIC: "basic", "run": "dans, of a finished run", "game": "dans, trained along"}
_COLUMNS = ["negative sampler", "test MRR, mean", "less basic", "95 % interval", "seeds", "one training"]
_NOTE = (
    "`pykeen.pipeline.pipeline` on {graph}: ComplEx of {dim} complex numbers without a regularizer, PyKEEN's {loss} "
    "loss, {negatives} negatives a triplet, Adam at {rate}, batches of {batch}, {epochs} epochs, seeds 0 to {last}, "
    "one thread; all else as PyKEEN has it. Only the negative sampler differs. *Of a finished run*: the recorded run "
    "{run}; *trained along*: `Game()` as it is. MRR filtered, both sides, realistic, of the test split after the last "
    "epoch, by PyKEEN's evaluator. The interval is Student's, of the mean difference to the basic sampler of the same "
    "seed."
)


def measure(seeds: int, epochs: int, loss: str) -> Section:
    """The test MRR of each sampler over `seeds`, after `epochs` with one of PyKEEN's losses."""
    from benchmarks.peers import quiet

    one_thread()
    quiet()
    records: list[dict[str, Any]] = []
    with work(float(seeds * len(SAMPLERS))) as progress:
        for seed in range(seeds):
            for sampler in SAMPLERS:
                progress.now(f"seed {seed}, {SAMPLERS[sampler]}")
                records.append(_one(sampler, seed, epochs, loss))
                progress.done(1)
    return Section(
        name="pykeen",
        title="In PyKEEN's pipeline",
        note=_NOTE.format(
            graph=graphs.title(_GRAPH),
            dim=_DIM,
            loss=loss,
            negatives=_NEGATIVES,
            rate=_RATE,
            batch=_BATCH,
            epochs=epochs,
            last=seeds - 1,
            run=_RUN,
        ),
        columns=_COLUMNS,
        rows=[_row(records, sampler) for sampler in SAMPLERS],
        records=records,
    )


def _one(sampler: str, seed: int, epochs: int, loss: str) -> dict[str, Any]:
    from pykeen.pipeline import pipeline

    from dans_lab.pykeen import Game

    game = Game()
    own = {BASIC: {}, "run": {"run": _RUN}, "game": {"game": game}}[sampler]
    # PyKEEN collects garbage after each epoch; what was imported is none.
    gc.freeze()
    started = time.perf_counter()
    result = pipeline(
        dataset=_GRAPH,
        model=_MODEL,
        model_kwargs={"embedding_dim": _DIM, "regularizer": None},
        loss=loss,
        negative_sampler=BASIC if sampler == BASIC else "dans",
        negative_sampler_kwargs={"num_negs_per_pos": _NEGATIVES, **own},
        optimizer_kwargs={"lr": _RATE},
        training_kwargs={
            "num_epochs": epochs,
            "batch_size": _BATCH,
            "use_tqdm": False,
            "pin_memory": False,
            "callbacks": game if sampler == "game" else None,
        },
        evaluation_kwargs={"use_tqdm": False, "batch_size": 256},
        random_seed=seed,
        device="cpu",
    )
    gc.unfreeze()
    mrr = result.get_metric("both.realistic.inverse_harmonic_mean_rank")
    return {"sampler": sampler, "seed": seed, "mrr": mrr, "seconds": time.perf_counter() - started}


def _row(records: list[dict[str, Any]], sampler: str) -> list[str]:
    mrr = {name: np.array([r["mrr"] for r in records if r["sampler"] == name]) for name in SAMPLERS}
    seconds = statistics.median(r["seconds"] for r in records if r["sampler"] == sampler)
    told = ["", ""]
    if sampler != BASIC:
        less = mrr[sampler] - mrr[BASIC]
        low, high = stats.t.interval(0.95, len(less) - 1, less.mean(), stats.sem(less))
        told = [f"{less.mean():+.3f}", f"{low:+.3f} … {high:+.3f}"]
    return [
        SAMPLERS[sampler], f"{mrr[sampler].mean():.3f}", *told, str(len(mrr[sampler])), show_seconds(seconds)
    ]  # fmt: skip
