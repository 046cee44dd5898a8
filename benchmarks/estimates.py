"""The time promised before a run, beside the time it takes: on this machine, and on the same one slowed down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dans_data
from benchmarks import graphs
from benchmarks.report import SAMPLERS, Section, sentence_rows
from benchmarks.timing import one_thread, show_seconds, work
from dans_core import Config, KnowledgeGraph
from dans_data.cache import CACHE_DIR_VARIABLE
from dans_lab.budget import speed
from dans_lab.budget.estimates import predict
from dans_lab.budget.experience import expect
from dans_lab.budget.recipe import config_for
from dans_lab.budget.sizes import Sizes
from dans_lab.runs.run import RUNS_DIR_VARIABLE, Run, list_runs
from dans_lab.runs.writer import RunWriter

ROOT = Path(__file__).resolve().parents[1]

_PATIENCE = 600.0
_COLUMNS = [
    "took ÷ promised", "bar", "graph", "negatives", "epochs", "promised", "took", "by the formulas alone",
    "promised for all epochs",
]  # fmt: skip
_BAR = "0.67 … 1.5"
_NOTE = (
    "Default settings for the size of each graph, ComplEx, one thread: a fresh worker times what it practises, its run "
    "is promised as on the Train screen, given to it, and timed from there until the worker has ended, with all files. "
    "A large graph gets {epochs} epochs, half of them warm-up, and is promised these. "
    "*By the formulas alone*: what would be promised on a machine that was never timed. {where}"
)
_ALONE = "Nothing else ran."
_SLOWED = "All of it shared one core with busy processes, which left it 1/{times} of the core."


def measure(datasets: Sequence[str], epochs: int, slowed: int) -> Section:
    """Promise and truth of a default run with and without DANS; `epochs` of a large graph, `slowed` so many times."""
    one_thread()
    found, missing = graphs.load(datasets)
    jobs = [(name, sampler) for name in found for sampler in SAMPLERS]
    records: list[dict[str, Any]] = []
    with work(len(jobs)) as progress, _slowed_down(slowed):
        for name, sampler in jobs:
            progress.now(f"{graphs.title(name)} {SAMPLERS[sampler]}")
            kg = found[name]
            values = {"sampler": sampler} | ({} if graphs.small(kg) else {"epochs": epochs})
            whole = config_for(len(kg.array("train")), {"sampler": sampler})
            records.append(_promised_and_true(name, kg, config_for(len(kg.array("train")), values), whole))
            progress.done(1)
    where = _ALONE if slowed == 1 else _SLOWED.format(times=slowed)
    return Section(
        name="estimates",
        title="Times promised before a run",
        note=_NOTE.format(epochs=epochs, where=where),
        columns=_COLUMNS,
        rows=[_row(record) for record in records] + sentence_rows(missing, _COLUMNS),
        records=[record | {"slowed": slowed} for record in records],
    )


def _promised_and_true(name: str, kg: KnowledgeGraph, config: Config, whole: Config) -> dict[str, Any]:
    """What a fresh worker's practice lets one promise for a run, and what the run then takes it."""
    source, sizes = _path(name), Sizes.of(kg)
    with _own_folders() as runs, _worker(source) as worker:
        _wait_for_practice(worker)
        promised = expect(config, sizes, kg.hash, list_runs())
        with RunWriter.create(runs, "run", config, kg.name, kg.hash, source) as writer:
            run = writer.run
        seconds = _trained_by(worker, run)
        return {
            "graph": name,
            "sampler": config.sampler,
            "epochs": config.epochs,
            "basis": promised.basis,
            "promised": promised.need.run_seconds,
            "took": seconds,
            "training": run.stored_status.seconds,
            "by_formulas": predict(config, sizes).run_seconds,
            "whole": predict(whole, sizes, speed.here()).run_seconds,
        }


def _path(name: str) -> str:
    """Where a data set lies, so that a worker with another cache finds it as well."""
    known = {info.name: info.path for info in dans_data.available()}
    return str(known.get(name, Path(name)).absolute())


@contextmanager
def _own_folders() -> Iterator[Path]:
    """An empty folder of runs, and an empty cache, for this process and those it starts."""
    with tempfile.TemporaryDirectory() as folder:
        own = {RUNS_DIR_VARIABLE: f"{folder}/runs", CACHE_DIR_VARIABLE: f"{folder}/cache"}
        before = {name: os.environ.get(name) for name in own}
        os.environ.update(own)
        try:
            yield Path(folder) / "runs"
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value


@contextmanager
def _worker(source: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "dans_lab.worker", source]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, text=True) as worker:
        try:
            yield worker
        finally:
            worker.kill()


def _wait_for_practice(worker: subprocess.Popen[str]) -> None:
    end = time.monotonic() + _PATIENCE
    while speed.here() is None:
        if worker.poll() is not None or time.monotonic() > end:
            raise RuntimeError("the worker did not time this machine; what it said stands above")
        time.sleep(0.1)


def _trained_by(worker: subprocess.Popen[str], run: Run) -> float:
    """Seconds from the job's line to the worker's end."""
    started = time.perf_counter()
    worker.communicate(json.dumps({"run_dir": str(run.path)}) + "\n")
    seconds = time.perf_counter() - started
    if (state := run.stored_status.state) != "finished":
        raise RuntimeError(f"the run {state}: {run.stored_status.reason}")
    return seconds


@contextmanager
def _slowed_down(times: int) -> Iterator[None]:
    """Share one core among this process with all it starts and `times` - 1 busy ones; 1 changes nothing."""
    if times == 1:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        with ExitStack() as others:
            for _ in range(times - 1):
                busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
                others.callback(busy.wait)
                others.callback(busy.kill)
            yield
    finally:
        os.sched_setaffinity(0, before)


def _row(record: dict[str, Any]) -> list[str]:
    return [
        f"{record['took'] / record['promised']:.2f}",
        _BAR,
        graphs.title(record["graph"]),
        SAMPLERS[record["sampler"]],
        str(record["epochs"]),
        *(show_seconds(record[name]) for name in ("promised", "took", "by_formulas", "whole")),
    ]
