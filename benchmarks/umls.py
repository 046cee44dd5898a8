"""MRR on UMLS over seeds with the default settings, DANS beside uniform, as one table."""

from __future__ import annotations

import math
import multiprocessing
import statistics
import time
from collections.abc import Iterable
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.report import DECODERS, SAMPLERS, environment
from benchmarks.timing import stderr

# Two-sided 95 % points of Student's t by degrees of freedom; beyond them the normal one.
_T95 = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26}


def run_one(job: tuple[str, str, int, int]) -> dict[str, Any]:
    """Train one run on one thread; its best valid MRR, the test MRR of that epoch, and its seconds."""
    import torch

    from dans_core import Config, KnowledgeGraph, Trainer, evaluate, load_weights

    torch.set_num_threads(1)
    decoder, sampler, seed, epochs = job
    kg = KnowledgeGraph.load("umls")
    config = Config(decoder=decoder, sampler=sampler, seed=seed, epochs=epochs)
    started = time.perf_counter()
    trainer = Trainer(kg, config)
    for _ in trainer:
        pass
    seconds = time.perf_counter() - started
    assert trainer.best_state is not None
    test = evaluate(load_weights(trainer.best_state, kg, config).model, kg, "test")
    return {
        "decoder": decoder,
        "sampler": sampler,
        "seed": seed,
        "epochs": epochs,
        "valid_mrr": trainer.best_mrr,
        "best_epoch": trainer.best_epoch,
        "test_mrr": test.mrr,
        "test_hits_at_1": test.hits_at_1,
        "test_ndcg_at_5": test.ndcg_at_5,
        "seconds": seconds,
    }


def run_all(seeds: int, epochs: int, processes: int) -> list[dict[str, Any]]:
    """All runs in worker processes, longest first, with a progress bar on standard error."""
    jobs = [(d, s, seed, epochs) for s in SAMPLERS for d in reversed(DECODERS) for seed in range(seeds)]
    bar = Progress(
        TextColumn("UMLS"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=stderr()
    )
    with multiprocessing.get_context("spawn").Pool(processes) as pool, bar:
        return list(bar.track(pool.imap_unordered(run_one, jobs), total=len(jobs)))


def table(records: Iterable[dict[str, Any]]) -> str:
    """The runs as Markdown: mean ± standard deviation over seeds, and DANS − uniform paired by seed."""
    from dans_core import KnowledgeGraph, popularity_floor

    records = list(records)
    kg = KnowledgeGraph.load("umls")
    floors = {split: popularity_floor(kg, split).mrr for split in ("valid", "test")}
    lines = [
        "# UMLS with the default settings",
        "",
        f"{environment(('torch', 'torch-geometric'))}. {records[0]['epochs']} epochs, one thread a run; "
        "filtered ranking of both sides, "
        "mean ± standard deviation over seeds. The epoch is chosen on valid; test is reported only.",
        "",
        "| decoder | negatives | seeds | valid MRR | test MRR | test H@1 | test NDCG@5 | seconds a run |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for decoder, decoder_name in DECODERS.items():
        for sampler, sampler_name in SAMPLERS.items():
            rows = _select(records, decoder, sampler)
            cells = [
                _spread([r[key] for r in rows])
                for key in ("valid_mrr", "test_mrr", "test_hits_at_1", "test_ndcg_at_5")
            ]
            seconds = statistics.median(r["seconds"] for r in rows)
            lines.append(
                f"| {decoder_name} | {sampler_name} | {len(rows)} | "
                + " | ".join(cells)
                + f" | {seconds:.0f} |"
            )
    lines += [
        "",
        f"Popularity floor, no model at all: valid MRR {floors['valid']:.3f}, test MRR {floors['test']:.3f}.",
        "",
        "DANS − uniform, paired by seed, with a 95 % interval (Student's t):",
        "",
        "| decoder | valid MRR | test MRR |",
        "|---|---|---|",
    ]
    for decoder, decoder_name in DECODERS.items():
        pairs = list(
            zip(_select(records, decoder, "dans"), _select(records, decoder, "uniform"), strict=True)
        )
        cells = [_interval([a[key] - b[key] for a, b in pairs]) for key in ("valid_mrr", "test_mrr")]
        lines.append(f"| {decoder_name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _select(records: list[dict[str, Any]], decoder: str, sampler: str) -> list[dict[str, Any]]:
    rows = [r for r in records if (r["decoder"], r["sampler"]) == (decoder, sampler)]
    return sorted(rows, key=lambda r: r["seed"])


def _spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


def _interval(differences: list[float]) -> str:
    n = len(differences)
    mean, half = (
        statistics.mean(differences),
        _T95.get(n - 1, 1.96) * statistics.stdev(differences) / math.sqrt(n),
    )
    return f"{mean:+.3f} ({mean - half:+.3f} … {mean + half:+.3f})"
