"""Studies run by their command: killing, stopping, resuming and Ray change nothing in what comes out."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dans_core import KnowledgeGraph, Trainer, evaluate
from dans_core.events import Ranking
from dans_data.errors import InputError
from dans_lab.runs.run import Run, list_runs
from dans_lab.runs.weights import load_weights
from dans_lab.study.folder import RunRecord, Study, open_study
from dans_lab.study.plan import read_plan
from tests.same_run import outcome, processes_of
from tests.study_samples import QUICK, needs_ray, study_file
from tests.waiting import PATIENCE, wait_for

pytestmark = pytest.mark.study

ROOT = Path(__file__).resolve().parents[2]


def command(runs: Path, *arguments: object) -> tuple[list[str], dict[str, str]]:
    words = [sys.executable, "-m", "dans_core", "study", *map(str, arguments)]
    return words, os.environ | {"DANS_RUNS_DIR": str(runs)}


def conduct(
    runs: Path,
    *arguments: object,
) -> subprocess.CompletedProcess[str]:
    words, env = command(runs, *arguments)
    return subprocess.run(words, env=env, cwd=ROOT, capture_output=True, text=True, timeout=2 * PATIENCE)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small study, run from beginning to end without a stop; the folder of its runs."""
    runs = tmp_path_factory.mktemp("straight")
    done = conduct(runs, study_file(runs), "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert "8 of 8 runs are done" in done.stdout
    return runs


def test_a_record_says_what_training_and_ranking_say(straight: Path) -> None:
    plan = read_plan(straight / "small.toml")
    records = Study(straight / "studies" / "small").records()
    assert set(records) == {planned.run for planned in plan.jobs} and len(plan.jobs) == 8
    planned = plan.jobs[-1]
    kg = KnowledgeGraph.load("nations")
    trainer = Trainer(kg, planned.config)
    events = list(trainer)
    test = evaluate(load_weights(trainer.best_state, kg, planned.config).model, kg, "test")
    record = records[planned.run]
    assert record.state == "finished" and record.seed == planned.config.seed
    assert record.test["mrr"] == test.mrr and record.test["ndcg_at_5"] == test.ndcg_at_5
    assert record.valid["mrr"] == trainer.best_mrr and record.best_epoch == trainer.best_epoch
    assert (np.array(record.ranks) / 2).tolist() == test.ranks.tolist()
    ranked = [event for event in events if isinstance(event, Ranking)]
    assert record.curves["epoch"] == [event.epoch for event in ranked]
    assert record.curves["valid_mrr"] == pytest.approx([event.mrr for event in ranked], rel=1e-3)
    took = record.curves["seconds"]
    assert took == sorted(took) and took[0] > 0 and took[-1] <= record.seconds
    # And the run itself is one like any other.
    run = Run(straight / planned.run)
    assert run.status.state == "finished" and run.meta.study == "small" and run.config == planned.config
    assert {run.id for run in list_runs(straight)} == set(records)
    assert (run.path / "best.pt").is_file() and not (run.path / "last.pt").exists()


def test_a_finished_study_has_nothing_to_do(straight: Path) -> None:
    before = outcome(straight)
    again = conduct(straight, straight / "small.toml")
    assert again.returncode == 0 and "8 of 8 runs are done" in again.stdout
    by_name = conduct(straight, "small")
    assert by_name.returncode == 0 and "8 of 8 runs are done" in by_name.stdout
    assert outcome(straight) == before


@pytest.mark.kill
def test_a_study_that_is_killed_again_and_again_comes_to_the_same_table(
    straight: Path, tmp_path: Path
) -> None:
    """The study is killed with SIGKILL at random moments, and so are some of its training processes."""
    chance = random.Random(1)
    words, env = command(tmp_path, study_file(tmp_path), "--workers", 2)
    during = 0
    for attempt in range(6):
        if len(outcome(tmp_path)) == 8:
            break
        process = subprocess.Popen(words, env=env, cwd=ROOT, stdout=subprocess.DEVNULL)
        if attempt:
            # While it trains; the very first time before that.
            before = changes(tmp_path)
            wait_for(lambda: process.poll() is not None or changes(tmp_path) != before, "a change")  # noqa: B023
        # The first of them at once: on a quick machine all runs are over in a second.
        time.sleep(0 if attempt == 1 else chance.uniform(0, 0.4))
        victims = [pid for pid in processes_of(tmp_path) if pid != process.pid]
        if victims and attempt % 2:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(victims), signal.SIGKILL)
        process.kill()
        process.wait()
        during += bool(changes(tmp_path)) and len(outcome(tmp_path)) < 8
    assert during, "the study was never killed while it trained"
    wait_for(lambda: not processes_of(tmp_path), "the end of the training processes of a killed study")
    done = conduct(tmp_path, tmp_path / "small.toml")
    assert done.returncode == 0, done.stderr
    assert outcome(tmp_path) == outcome(straight)


def changes(runs: Path) -> list[tuple[str, int]]:
    """What the runs of a folder have written so far."""
    found = []
    for file in runs.glob("small-*/*"):
        with contextlib.suppress(FileNotFoundError):
            found.append((str(file), file.stat().st_mtime_ns))
    return sorted(found)


@pytest.mark.kill
def test_ctrl_c_leaves_checkpoints_and_the_same_command_goes_on(straight: Path, tmp_path: Path) -> None:
    file = study_file(tmp_path)
    words, env = command(tmp_path, file, "--workers", 2)
    process = subprocess.Popen(
        words, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: list(tmp_path.glob("small-*/events.jsonl")), "the beginning of a run")
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, stderr
    assert "the same command goes on with it" in stdout and "Traceback" not in stderr
    assert not processes_of(tmp_path)
    assert conduct(tmp_path, file).returncode == 0
    assert outcome(tmp_path) == outcome(straight)


@pytest.mark.kill
def test_a_killed_training_process_is_replaced_while_the_study_goes_on(
    straight: Path, tmp_path: Path
) -> None:
    file = study_file(tmp_path)
    words, env = command(tmp_path, file, "--workers", 2)
    process = subprocess.Popen(words, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    wait_for(lambda: list(tmp_path.glob("small-*/events.jsonl")), "the beginning of a run")
    victims = [pid for pid in processes_of(tmp_path) if pid != process.pid]
    os.kill(victims[0], signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert outcome(tmp_path) == outcome(straight)


class Killed(BaseException):
    """Nobody catches it, so what it ends has no time to write anything more."""


def test_a_killed_run_goes_on_from_its_last_checkpoint(
    straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dans_lab.runs import drive
    from dans_lab.study.execute import execute

    monkeypatch.setattr(drive, "CHECKPOINT_EVERY", 0.0)
    planned = read_plan(straight / "small.toml").jobs[0]
    kg = KnowledgeGraph.load("nations")
    looks = 0

    def until(last: int) -> bool:
        nonlocal looks
        looks += 1
        if looks > last:
            raise Killed
        return False

    with pytest.raises(Killed):
        execute(planned, "small", kg, "nations", tmp_path, lambda: until(40))
    path, looks = tmp_path / planned.run, 0
    assert (path / "last.pt").is_file() and Run(path).status.state == "interrupted"
    record = execute(planned, "small", kg, "nations", tmp_path, lambda: until(10_000))
    stages = Run(path).stored_status.stage_number
    assert looks == stages - 40, "not one stage was done twice"
    timeless = {"seconds": True, "curves": {"seconds"}}
    assert record.model_dump(exclude=timeless) == outcome(straight)[planned.run]
    assert (path / "best.pt").is_file() and not (path / "last.pt").exists()


def test_a_run_killed_before_it_was_one_is_made_anew(straight: Path, tmp_path: Path) -> None:
    """A folder without config.json is what remains of a run whose making was cut short."""
    text = QUICK.replace('["dans", "nscaching"]', '["nscaching"]').replace('"distmult", ', "")
    file = study_file(tmp_path, text=text)
    for planned in read_plan(file).jobs:
        (tmp_path / planned.run / "snapshots").mkdir(parents=True)
    assert conduct(tmp_path, file).returncode == 0
    assert outcome(tmp_path).items() <= outcome(straight).items()


def test_a_study_can_grow(straight: Path, tmp_path: Path) -> None:
    """More seeds and settings in the same file: what was run is not run again."""
    few = QUICK.replace('["dans", "nscaching"]', '["nscaching"]').replace("seeds = 2", "seeds = [1]")
    assert conduct(tmp_path, study_file(tmp_path, text=few)).returncode == 0
    first = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "studies/small/records").iterdir()}
    assert len(first) == 2
    done = conduct(tmp_path, study_file(tmp_path))
    assert done.returncode == 0 and "2 are done already" in done.stdout
    assert outcome(tmp_path) == outcome(straight)
    for name, time_written in first.items():
        assert (tmp_path / "studies/small/records" / name).stat().st_mtime_ns == time_written


def test_two_processes_cannot_run_one_study(tmp_path: Path) -> None:
    import filelock

    file = study_file(tmp_path)
    (tmp_path / "studies" / "small").mkdir(parents=True)
    with filelock.FileLock(tmp_path / "studies" / "small" / "study.lock"):
        refused = conduct(tmp_path, file)
    assert refused.returncode == 2 and "is being run by another process" in refused.stderr


def test_other_triplets_under_the_same_name_are_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for split in ("train", "valid", "test"):
        (data / f"{split}.txt").write_text("a\tr\tb\nb\tr\tc\nc\tr\ta\n")
    text = QUICK.replace('"nations"', f'"{data}"').replace('["dans", "nscaching"]', '["uniform"]')
    file = study_file(tmp_path, epochs=3, text=text)
    assert conduct(tmp_path, file).returncode == 0
    (data / "train.txt").write_text("a\tr\tb\nb\tr\tc\nc\tr\ta\nc\tr\tb\n")
    refused = conduct(tmp_path, file)
    assert refused.returncode == 2 and "was begun on other triplets" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_data_that_was_moved_is_the_same_data(tmp_path: Path) -> None:
    """The same folder of triplets elsewhere: no run is made again, and a new one finds it."""
    data = tmp_path / "here" / "data"
    data.mkdir(parents=True)
    for split in ("train", "valid", "test"):
        (data / f"{split}.txt").write_text("a\tr\tb\nb\tr\tc\nc\tr\ta\n")
    text = QUICK.replace('["dans", "nscaching"]', '["uniform"]')
    first = study_file(tmp_path, epochs=3, text=text.replace('"nations"', f'"{data}"'))
    assert conduct(tmp_path, first).returncode == 0
    moved = (tmp_path / "here").rename(tmp_path / "there") / "data"
    second = text.replace('"nations"', f'"{moved}"').replace("seeds = 2", "seeds = 3")
    done = conduct(tmp_path, study_file(tmp_path, epochs=3, text=second))
    assert done.returncode == 0, done.stderr
    assert "4 are done already" in done.stdout and "6 of 6 runs are done" in done.stdout


def test_a_run_that_a_viewer_stops_is_told(tmp_path: Path) -> None:
    file = study_file(tmp_path, epochs=3000, text=QUICK.replace('["dans", "nscaching"]', '["uniform"]'))
    words, env = command(tmp_path, file, "--workers", 1)
    process = subprocess.Popen(
        words, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    stopped: set[str] = set()
    while process.poll() is None:
        for run in list_runs(tmp_path):
            if run.id not in stopped and run.status.state == "running":
                run.request(stop=True)
                stopped.add(run.id)
        time.sleep(0.05)
    _, stderr = process.communicate()
    assert process.returncode == 1 and len(stopped) == 4
    assert "stopped by someone else" in stderr and "the same command goes on with it" in stderr


def test_a_run_that_diverges_is_a_result(tmp_path: Path) -> None:
    text = QUICK.replace('["dans", "nscaching"]', '["uniform"]').replace("dim = 16", "dim = 16\nlr = 1.0")
    text = text.replace("dim = 16", "dim = 16\nclip_norm = 1000.0\nl2 = 10.0\ndropout = 0.9")
    file = study_file(tmp_path, epochs=3, text=text)
    plan = read_plan(file)
    # A run whose last status says that it diverged, as a process that was killed right after it leaves it.
    from dans_core.training import Diverged
    from dans_lab.runs.writer import RunWriter

    kg, planned = KnowledgeGraph.load("nations"), plan.jobs[0]
    with RunWriter.create(
        tmp_path, planned.run, planned.config, kg.name, kg.hash, "nations", "small"
    ) as writer:
        writer.write_status("failed", str(Diverged(2, "the loss base")), diverged=True)
    done = conduct(tmp_path, file, "--json")
    assert done.returncode == 0, done.stderr
    records = Study(tmp_path / "studies" / "small").records()
    assert records[planned.run].state == "failed" and records[planned.run].reason.startswith(
        "diverged at epoch 2"
    )
    assert not records[planned.run].test and not records[planned.run].ranks
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0]["runs"] == 4 and lines[-1]["done"] == 4


def test_an_estimate_is_said_before_it_begins_and_kept(straight: Path) -> None:
    meta = open_study_in(straight).meta
    assert meta.estimate > 0 and meta.took > 0 and meta.workers == "2 processes"


def open_study_in(runs: Path) -> Study:
    return Study(runs / "studies" / "small")


def test_a_study_is_found_by_name_and_folder(straight: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANS_RUNS_DIR", str(straight))
    assert open_study("small").plan.title == "Small"
    assert open_study(str(straight / "studies" / "small")).finished() == set(outcome(straight))
    with pytest.raises(InputError, match=r"there is no study 'smal'.*small"):
        open_study("smal")


def test_a_record_is_strict_and_small(straight: Path) -> None:
    for file in (straight / "studies" / "small" / "records").iterdir():
        assert file.stat().st_size < 40_000
        assert RunRecord.model_validate_json(file.read_bytes()).run == file.stem


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A Ray cluster of two nodes with one CPU each on this machine; its address."""
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        nodes.add_node(num_cpus=1)
        yield nodes.address
    finally:
        nodes.shutdown()


@needs_ray
@pytest.mark.ray
def test_a_ray_cluster_of_two_nodes_comes_to_the_same_numbers(
    straight: Path, tmp_path: Path, cluster: str
) -> None:
    done = conduct(tmp_path, study_file(tmp_path), "--ray", cluster)
    assert done.returncode == 0, done.stderr
    assert "2 CPUs of 2 Ray nodes" in done.stdout
    assert outcome(tmp_path) == outcome(straight)
    # The runs came back whole.
    for run in list_runs(tmp_path):
        assert run.status.state == "finished" and run.load_checkpoint("best")["epoch"] > 0
        assert [event for event in run.events() if isinstance(event, Ranking)]
    assert not list(tmp_path.glob(".*.tmp"))
    # What was begun with processes goes on with Ray: only the missing record's run is taken up.
    first = next((tmp_path / "studies" / "small" / "records").iterdir())
    first.unlink()
    again = conduct(tmp_path, study_file(tmp_path), "--ray", cluster)
    assert again.returncode == 0 and "7 are done already" in again.stdout
    assert outcome(tmp_path) == outcome(straight)
