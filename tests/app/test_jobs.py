"""The pool of workers: who is at work is known by locks of the operating system, however slow or still a worker is."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from dans_app.server import graph, jobs
from dans_app.shared import run_state
from dans_core.config import Config
from dans_data.errors import InputError
from dans_lab.runs import locks
from dans_lab.runs.run import Run, list_runs
from dans_lab.runs.trash import CACHE, delete
from dans_lab.runs.writer import RunWriter
from dans_lab.worker import COURTESY
from tests.browser.server import workers
from tests.waiting import PATIENCE, wait_for

CONFIG = Config(decoder="distmult", sampler="uniform", epochs=3, dim=8)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A runs folder of its own; whatever still trains in it is ended."""
    root = tmp_path / "runs"
    root.mkdir()
    monkeypatch.setenv("DANS_RUNS_DIR", str(root))
    yield root
    for process in workers(root):
        os.kill(process, signal.SIGKILL)


@pytest.fixture
def gate(tmp_path, monkeypatch) -> Path:
    """Workers import nothing before this file exists."""
    slow, opened = tmp_path / "slow", tmp_path / "opened"
    slow.mkdir()
    (slow / "sitecustomize.py").write_text(
        f"import os, time\nwhile not os.path.exists({str(opened)!r}):\n    time.sleep(0.02)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(slow))
    return opened


@pytest.fixture
def pool(monkeypatch):
    """A server's pool, which makes a worker ready as soon as it is asked."""
    monkeypatch.setattr(jobs, "FIRST_SCREEN", 0.0)
    made = jobs.Pool()
    yield made
    made.close()


def an_hour_later(run: Run) -> None:
    """As if nothing had been written for an hour."""
    status = run.stored_status.model_copy(update={"updated": time.time() - 3600})
    (run.path / "status.json").write_text(status.model_dump_json())


def test_a_worker_that_takes_long_to_import_still_has_its_run(folder, gate, pool, monkeypatch):
    monkeypatch.setattr(jobs, "CORES", 1)
    run = pool.start(CONFIG, "nations")
    an_hour_later(run)
    assert run.status.state == "queued"
    another_server = jobs.Pool()
    for each in (pool, another_server):
        with pytest.raises(InputError, match="1 run is under way"):
            each.start(CONFIG, "nations")
        each.resume(run)
    assert len(workers(folder)) == 1
    for taking in (lambda: RunWriter.requeue(run.path), lambda: RunWriter.reopen(run.path)):
        with pytest.raises(InputError, match="was given to another process"):
            taking()
    with pytest.raises(InputError, match="about to start"):
        delete([run.id])

    gate.touch()
    wait_for(lambda: run.status.state == "finished", "the end of the run")
    assert [each.id for each in list_runs()] == [run.id]


@pytest.mark.parametrize("gives_way", [False, True])
def test_a_run_leaves_the_processor_to_others_where_one_asks_for_that(folder, pool, monkeypatch, gives_way):
    monkeypatch.setenv("DANS_GIVE_WAY", str(int(gives_way)))
    run = pool.start(CONFIG.with_values(epochs=50_000), "nations")
    wait_for(lambda: run.status.epoch > 0, "the first epoch")
    [process] = workers(folder)
    steps = min(COURTESY, 19 - os.nice(0)) if gives_way else 0
    assert os.getpriority(os.PRIO_PROCESS, process) == os.nice(0) + steps


def test_a_worker_that_dies_before_it_begins_is_seen_at_once(folder, gate, pool):
    run = pool.start(CONFIG, "nations")
    [process] = workers(folder)
    os.kill(process, signal.SIGKILL)
    wait_for(lambda: run.status.state == "interrupted", "the end of the worker", PATIENCE)
    gate.touch()
    pool.resume(run)
    wait_for(lambda: run.status.state == "finished", "the end of the run")


def test_the_end_of_the_server_does_not_take_the_run_from_its_worker(folder, gate, pool):
    run = pool.start(CONFIG, "nations")
    pool.close()
    an_hour_later(run)
    assert run.status.state == "queued"
    jobs.Pool().resume(run)
    assert len(workers(folder)) == 1


def test_a_cleared_cache_costs_the_waiting_worker_alone(folder, gate, pool):
    pool.warm("nations")
    wait_for(lambda: list((folder / CACHE / "workers").glob("*.lock")), "a ticket")
    for ticket in (folder / CACHE / "workers").glob("*.lock"):
        ticket.unlink()
    assert pool.start(CONFIG, "nations").status.state == "queued"


def test_tickets_of_workers_that_are_gone_are_swept(tmp_path):
    held, left = locks.Ticket(tmp_path / "t"), locks.Ticket(tmp_path / "t")
    left.leave_to_worker()
    assert locks.is_held(held.path) and not locks.is_held(left.path)
    locks.sweep(tmp_path / "t")
    assert list((tmp_path / "t").iterdir()) == [held.path]
    held.leave_to_worker()


def test_runs_whose_files_are_damaged_count_while_they_train(folder, pool, monkeypatch):
    monkeypatch.setattr(jobs, "CORES", 1)
    kg = graph.load("nations")
    with RunWriter.create(folder, "busy", CONFIG, kg.name, kg.hash, "nations") as writer:
        (writer.path / "status.json").write_text("{")
        with pytest.raises(InputError, match="wait for busy to end"):
            pool.start(CONFIG, "nations")


def test_where_the_folder_of_runs_is_none_the_start_says_so(folder, pool):
    folder.rmdir()
    folder.write_text("")
    with pytest.raises(InputError, match=r"runs/\.cache cannot be written .*so no run can start"):
        pool.start(CONFIG, "nations")
    pool.warm("nations")


def test_a_process_that_stands_still_is_said_not_to_answer(folder, pool):
    run = pool.start(CONFIG.with_values(epochs=1000), "nations")
    run.request(run_until=3)
    wait_for(lambda: run.status.state == "paused", "the pause")
    [process] = [each for each in workers(folder) if _has(each, run)]
    os.kill(process, signal.SIGSTOP)
    try:
        an_hour_later(run)
        os.utime(run.path / "run.lock", (0, time.time() - 100))
        assert run.status.silent == pytest.approx(100, abs=PATIENCE)
        said = run_state.sentence(run.status, run.config)
        assert said.startswith("No answer for about 2 minutes, at epoch 1 of 1,000: its process is stopped")
    finally:
        os.kill(process, signal.SIGCONT)
    wait_for(lambda: run.status.silent is None, "a beat")
    assert (run.status.state, run.status.live) == ("paused", True)


def _has(process: int, run: Run) -> bool:
    """Whether this process has files of the run open."""
    links = Path(f"/proc/{process}/fd").iterdir()
    return any(str(run.path.resolve()) in str(link.readlink()) for link in links)
