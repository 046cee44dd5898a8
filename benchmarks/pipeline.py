"""PyKEEN's pipeline on UMLS with its basic negative sampler beside ours, over seeds: MRR at equal epochs."""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks import graphs
from benchmarks.report import Section
from benchmarks.timing import one_thread, show_seconds, work
from dans_data.errors import InputError

_GRAPH, _RUN = "umls", "umls-complex-dans"
_MODEL, _DIM, _NEGATIVES, _BATCH = "complex", 32, 5, 1024
BASIC = "basic"
SAMPLERS = {
    BASIC: "basic",
    "run": "dans, of a finished run",
    "run-weighed": "the same, with weights",
    "game": "dans, trained along",
    "game-weighed": "the same, with weights",
}
_COLUMNS = [
    "loss", "negative sampler", "rate", "valid MRR", "test MRR, mean", "less basic", "95 % interval", "seeds",
    "one training",
]  # fmt: skip
_NOTE = (
    "`pykeen.pipeline.pipeline` on {graph}: ComplEx of {dim} complex numbers without a regularizer, {negatives} "
    "negatives a triplet, Adam, batches of {batch}, {epochs} epochs, seeds 0 to {last}, one thread; all else as PyKEEN "
    'has it. *Of a finished run*: `negative_sampler="dans"` with the recorded run {run}; *trained along*: with '
    '`Game()` as it is; *with weights*: `training_loop="dans"` in its place. The learning rate is that of {rates} with '
    "the highest mean valid MRR, for each row by itself; nothing was chosen by the test split. MRR filtered, both "
    "sides, realistic, after the last epoch, by PyKEEN's evaluator. The interval is Student's, of the mean difference "
    "in test MRR to the basic sampler with the same loss and seed. Times are seconds of the processor."
)


def measure(
    seeds: int, epochs: int, losses: Sequence[str], rates: Sequence[float], kept: Path | None = None
) -> Section:
    """The MRR of each sampler over `seeds`, after `epochs` with each of some of PyKEEN's losses and learning rates.

    What stands in the file `kept` is not trained again, and what is trained is added there, a line of JSON each.
    """
    from benchmarks.peers import quiet

    one_thread()
    quiet()
    made = _read(kept) if kept and kept.exists() else []
    asked = [
        {"loss": loss, "sampler": sampler, "rate": rate, "epochs": epochs, "seed": seed}
        for seed in range(seeds)
        for loss in losses
        for rate in rates
        for sampler in SAMPLERS
    ]
    records: list[dict[str, Any]] = []
    with work(float(len(asked))) as progress:
        for each in asked:
            found = next((record for record in made if record.items() >= each.items()), None)
            if found is None:
                progress.now(f"seed {each['seed']}, {each['loss']}, {each['sampler']}")
                found = each | _trained(**each)
                if kept:
                    with kept.open("a") as lines:
                        lines.write(json.dumps(found) + "\n")
            records.append(found)
            progress.done(1)
    return Section(
        name="pykeen",
        title="In PyKEEN's pipeline",
        note=_NOTE.format(
            graph=graphs.title(_GRAPH),
            dim=_DIM,
            negatives=_NEGATIVES,
            batch=_BATCH,
            epochs=epochs,
            last=seeds - 1,
            run=_RUN,
            rates=" and ".join(f"{rate:g}" for rate in rates),
        ),
        columns=_COLUMNS,
        rows=[row for loss in losses for row in _rows([r for r in records if r["loss"] == loss])],
        records=records,
    )


def _read(kept: Path) -> list[dict[str, Any]]:
    found = []
    for number, line in enumerate(kept.read_text().splitlines(), 1):
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            raise InputError(
                f"{kept}: line {number} is no record of a training; expected a file that this command wrote"
            ) from None
    return found


def _trained(loss: str, sampler: str, rate: float, epochs: int, seed: int) -> dict[str, Any]:
    from pykeen.datasets import get_dataset
    from pykeen.evaluation import RankBasedEvaluator
    from pykeen.pipeline import pipeline

    from dans_lab.pykeen import Game

    game = Game() if sampler.startswith("game") else None
    generator: dict[str, Any] = {"game": game} if game else {"run": _RUN}
    data = get_dataset(dataset=_GRAPH)
    # PyKEEN collects garbage after each epoch; what was imported is none.
    gc.freeze()
    started = time.process_time()
    result = pipeline(
        dataset=data,
        model=_MODEL,
        model_kwargs={"embedding_dim": _DIM, "regularizer": None},
        loss=loss,
        training_loop="dans" if sampler.endswith("weighed") else "slcwa",
        negative_sampler=BASIC if sampler == BASIC else "dans",
        negative_sampler_kwargs={"num_negs_per_pos": _NEGATIVES, **({} if sampler == BASIC else generator)},
        optimizer="adam",
        optimizer_kwargs={"lr": rate},
        training_kwargs={
            "num_epochs": epochs,
            "batch_size": _BATCH,
            "use_tqdm": False,
            "pin_memory": False,
            "callbacks": game,
        },
        evaluation_kwargs={"use_tqdm": False, "batch_size": 256},
        random_seed=seed,
        device="cpu",
    )
    seconds = time.process_time() - started
    train, valid, test = (each.mapped_triples for each in (data.training, data.validation, data.testing))
    by_valid = RankBasedEvaluator().evaluate(
        result.model, valid, batch_size=256, use_tqdm=False, additional_filter_triples=[train, test]
    )
    gc.unfreeze()
    name = "both.realistic.inverse_harmonic_mean_rank"
    return {"valid": by_valid.get_metric(name), "test": result.get_metric(name), "seconds": seconds}


def _rows(records: list[dict[str, Any]]) -> list[list[str]]:
    """A row for each sampler, from the records of one loss."""
    rows, basic = [], np.empty(0)
    for sampler, title in SAMPLERS.items():
        by_rate: dict[float, list[dict[str, Any]]] = {}
        for record in records:
            if record["sampler"] == sampler:
                by_rate.setdefault(record["rate"], []).append(record)
        rate, chosen = max(by_rate.items(), key=lambda each: statistics.mean(r["valid"] for r in each[1]))
        test, told = np.array([r["test"] for r in chosen]), ["", ""]
        if sampler == BASIC:
            basic = test
        else:
            less = test - basic
            low, high = stats.t.interval(0.95, len(less) - 1, less.mean(), stats.sem(less))
            told = [f"{less.mean():+.3f}", f"{low:+.3f} … {high:+.3f}"]
        valid = statistics.mean(r["valid"] for r in chosen)
        means = [f"{valid:.3f}", f"{test.mean():.3f}"]
        seconds = show_seconds(statistics.median(r["seconds"] for r in chosen))
        rows.append([chosen[0]["loss"], title, f"{rate:g}", *means, *told, str(len(test)), seconds])
    return rows
