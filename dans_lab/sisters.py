"""Runs that differ from a run in nothing but the seed, and what they are worth on test: how far seeds lie apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from dans_core.config import Config, matters
from dans_core.kg import KnowledgeGraph
from dans_data.errors import InputError
from dans_lab.export.model_card import OtherSeed
from dans_lab.runs.run import Run, list_runs, usual_weights
from dans_lab.study.folder import list_studies


def sisters(
    run: Run, kg: KnowledgeGraph, told: Callable[[str], None] = lambda run_id: None
) -> tuple[OtherSeed, ...]:
    """The finished sisters of a run, by seed, one each: recorded by studies, or else among the runs and ranked here.

    `told` hears which run is about to be ranked, which takes seconds on a large graph.
    """
    found: dict[int, OtherSeed] = {}
    wanted = _settings(run.config)
    for sister in _of_studies(wanted, kg):
        found.setdefault(sister.seed, sister)
    for other in list_runs():
        seed = other.config.seed
        alike = other.meta.hash == kg.hash and _settings(other.config) == wanted
        if (
            alike
            and seed not in found
            and seed != run.config.seed
            and other.stored_status.state == "finished"
        ):
            told(other.id)
            try:
                found[seed] = OtherSeed(seed, _test_mrr(other, kg), f"run {other.id}")
            except InputError:
                # Its weights are gone or of an earlier version, so there is nothing to rank.
                continue
    found.pop(run.config.seed, None)
    return tuple(found[seed] for seed in sorted(found))


def _settings(config: Config) -> dict[str, Any]:
    """Those that the weights of a run depend on: measuring and keeping snapshots change nothing."""
    idle = {"seed", "diagnose_every", "snapshot_every"}
    read = {name for name in Config.model_fields if matters(name, config.sampler, config.reading)}
    return config.model_dump(include=read - idle)


def _of_studies(wanted: dict[str, Any], kg: KnowledgeGraph) -> Iterator[OtherSeed]:
    for study in list_studies():
        try:
            if study.meta.hash != kg.hash:
                continue
            jobs = [job for job in study.plan.jobs if _settings(job.config) == wanted]
            records = study.records() if jobs else {}
        except InputError:
            # A damaged study is told of where studies are looked at.
            continue
        for job in jobs:
            record = records.get(job.run)
            if record is not None and "mrr" in record.test:
                yield OtherSeed(record.seed, record.test["mrr"], f"study {study.key}")


def _test_mrr(run: Run, kg: KnowledgeGraph) -> float:
    from dans_core.ranking import evaluate
    from dans_lab.runs.weights import load_weights

    state = run.load_checkpoint(usual_weights(kg))
    return evaluate(load_weights(state, kg, run.config).model, kg, "test").mrr
