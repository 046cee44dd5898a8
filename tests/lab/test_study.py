"""Studies: what a file asks for, and that killing, stopping, resuming and Ray change nothing in what comes out."""

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
from typing import Any

import numpy as np
import pytest

from dans_core import Config, KnowledgeGraph, Trainer, evaluate, load_weights
from dans_core.events import Diagnostics, Losses, PathwayHealth, Ranking
from dans_core.names import SAMPLERS
from dans_data.errors import InputError
from dans_lab.budget.recipe import config_for
from dans_lab.cli import main
from dans_lab.runs.run import Run, list_runs, run_id_error
from dans_lab.study import facts
from dans_lab.study.conduct import conducting
from dans_lab.study.convergence import FIGURES, convergence, curves, swing
from dans_lab.study.folder import RunRecord, Study, open_study, shipped_studies
from dans_lab.study.plan import SHIPPED, VARIANT, parse_plan, read_plan
from tests import large_run
from tests.study_samples import EQUAL_TIME, small_plan

ROOT = Path(__file__).resolve().parents[2]

SMALL = """
title = "Small"
dataset = "nations"
seeds = 2
[settings]
epochs = {epochs}
dim = 16
eval_every = 5
diagnose_every = 10
snapshot_every = 1000
[grid]
sampler = ["dans", "nscaching"]
decoder = ["distmult", "complex"]
"""


LONG = [number / 1000 for number in range(1, 101)]


def study_file(folder: Path, epochs: int = 30, text: str = SMALL) -> Path:
    file = folder / "small.toml"
    file.write_text(text.replace("{epochs}", str(epochs)))
    return file


def command(runs: Path, *arguments: object) -> tuple[list[str], dict[str, str]]:
    words = [sys.executable, "-m", "dans_core", "study", *map(str, arguments)]
    return words, os.environ | {"DANS_RUNS_DIR": str(runs)}


def conduct(runs: Path, *arguments: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    words, env = command(runs, *arguments)
    return subprocess.run(words, env=env, cwd=ROOT, capture_output=True, text=True, timeout=timeout)


def outcome(runs: Path, name: str = "small") -> dict[str, dict[str, Any]]:
    """Everything that records say but the time it took."""
    records = Study(runs / "studies" / name).records()
    timeless = {"seconds": True, "curves": {"seconds"}}
    return {run: record.model_dump(exclude=timeless) for run, record in records.items()}


def processes_of(runs: Path) -> list[int]:
    """Processes that train for studies in this folder of runs."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and str(runs) in (entry / "environ").read_text(errors="replace"):
                command_line = (entry / "cmdline").read_text(errors="replace")
                if "dans_core" in command_line and "defunct" not in command_line:
                    found.append(int(entry.name))
    return found


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
    assert set(records) == {job.run for job in plan.jobs} and len(plan.jobs) == 8
    job = plan.jobs[-1]
    kg = KnowledgeGraph.load("nations")
    trainer = Trainer(kg, job.config)
    events = list(trainer)
    test = evaluate(load_weights(trainer.best_state, kg, job.config).model, kg, "test")
    record = records[job.run]
    assert record.state == "finished" and record.seed == job.config.seed
    assert record.test["mrr"] == test.mrr and record.test["ndcg_at_5"] == test.ndcg_at_5
    assert record.valid["mrr"] == trainer.best_mrr and record.best_epoch == trainer.best_epoch
    assert (np.array(record.ranks) / 2).tolist() == test.ranks.tolist()
    ranked = [event for event in events if isinstance(event, Ranking)]
    assert record.curves["epoch"] == [event.epoch for event in ranked]
    assert record.curves["valid_mrr"] == pytest.approx([event.mrr for event in ranked], rel=1e-3)
    took = record.curves["seconds"]
    assert took == sorted(took) and took[0] > 0 and took[-1] <= record.seconds
    # And the run itself is one like any other.
    run = Run(straight / job.run)
    assert run.status.state == "finished" and run.meta.study == "small" and run.config == job.config
    assert {run.id for run in list_runs(straight)} == set(records)
    assert (run.path / "best.pt").is_file() and not (run.path / "last.pt").exists()


def test_a_finished_study_has_nothing_to_do(straight: Path) -> None:
    before = outcome(straight)
    again = conduct(straight, straight / "small.toml")
    assert again.returncode == 0 and "8 of 8 runs are done" in again.stdout
    by_name = conduct(straight, "small")
    assert by_name.returncode == 0 and "8 of 8 runs are done" in by_name.stdout
    assert outcome(straight) == before


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
            wait_for(lambda: process.poll() is not None or changes(tmp_path) != before, "nothing happens", 60)  # noqa: B023
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
    wait_for(lambda: not processes_of(tmp_path), "training processes outlive a killed study")
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


def wait_for(done: Any, otherwise: str, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            pytest.fail(otherwise)
        time.sleep(0.05)


def test_ctrl_c_leaves_checkpoints_and_the_same_command_goes_on(straight: Path, tmp_path: Path) -> None:
    file = study_file(tmp_path)
    words, env = command(tmp_path, file, "--workers", 2)
    process = subprocess.Popen(
        words, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: list(tmp_path.glob("small-*/events.jsonl")), "no run was begun", 60)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "the same command goes on with it" in stdout and "Traceback" not in stderr
    assert not processes_of(tmp_path)
    assert conduct(tmp_path, file).returncode == 0
    assert outcome(tmp_path) == outcome(straight)


def test_a_killed_training_process_is_replaced_while_the_study_goes_on(
    straight: Path, tmp_path: Path
) -> None:
    file = study_file(tmp_path)
    words, env = command(tmp_path, file, "--workers", 2)
    process = subprocess.Popen(words, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    wait_for(lambda: list(tmp_path.glob("small-*/events.jsonl")), "no run was begun", 60)
    victims = [pid for pid in processes_of(tmp_path) if pid != process.pid]
    os.kill(victims[0], signal.SIGKILL)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert outcome(tmp_path) == outcome(straight)


def test_what_was_timed_before_is_not_timed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dans_lab.study.crew import Processes

    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    plan = read_plan(study_file(tmp_path))
    kinds = {
        plan.run_id(job.config.with_values(seed=0)): 10.0 * place
        for place, job in enumerate(plan.jobs[:4], 1)
    }
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with conducting(plan) as conduct, Processes(1) as crew:
        with pytest.raises(InputError, match="no process could be started"):
            conduct.estimate(crew)
        conduct.note(expected=kinds)
        assert conduct.estimate(crew) == 2 * sum(kinds.values()), "two seeds of each"


def test_so_many_run_side_by_side_as_the_memory_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dans_lab.cli.study import _that_fit

    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    with conducting(read_plan(study_file(tmp_path))) as conduct:
        need = conduct.memory() / 1e9
        for gigabytes, size in ((1000, 4), (need / 0.8 * 2.5, 2), (need / 2, 1)):
            monkeypatch.setenv("DANS_MEMORY_GB", str(gigabytes))
            assert _that_fit(conduct) == size
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and said[0].startswith("2 runs at a time: one needs up to ")


class Killed(BaseException):
    """Nobody catches it, so what it ends has no time to write anything more."""


def test_a_killed_run_goes_on_from_its_last_checkpoint(
    straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dans_lab.runs import drive
    from dans_lab.study.execute import execute

    monkeypatch.setattr(drive, "CHECKPOINT_EVERY", 0.0)
    job = read_plan(straight / "small.toml").jobs[0]
    kg = KnowledgeGraph.load("nations")
    looks = 0

    def until(last: int) -> bool:
        nonlocal looks
        looks += 1
        if looks > last:
            raise Killed
        return False

    with pytest.raises(Killed):
        execute(job, "small", kg, "nations", tmp_path, lambda: until(40))
    path, looks = tmp_path / job.run, 0
    assert (path / "last.pt").is_file() and Run(path).status.state == "interrupted"
    record = execute(job, "small", kg, "nations", tmp_path, lambda: until(10_000))
    stages = Run(path).stored_status.stage_number
    assert looks == stages - 40, "not one stage was done twice"
    timeless = {"seconds": True, "curves": {"seconds"}}
    assert record.model_dump(exclude=timeless) == outcome(straight)[job.run]
    assert (path / "best.pt").is_file() and not (path / "last.pt").exists()


def test_a_run_killed_before_it_was_one_is_made_anew(straight: Path, tmp_path: Path) -> None:
    """A folder without config.json is what remains of a run whose making was cut short."""
    text = SMALL.replace('["dans", "nscaching"]', '["nscaching"]').replace('"distmult", ', "")
    file = study_file(tmp_path, text=text)
    for job in read_plan(file).jobs:
        (tmp_path / job.run / "snapshots").mkdir(parents=True)
    assert conduct(tmp_path, file).returncode == 0
    assert outcome(tmp_path).items() <= outcome(straight).items()


def test_a_study_can_grow(straight: Path, tmp_path: Path) -> None:
    """More seeds and settings in the same file: what was run is not run again."""
    few = SMALL.replace('["dans", "nscaching"]', '["nscaching"]').replace("seeds = 2", "seeds = [1]")
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
    text = SMALL.replace('"nations"', f'"{data}"').replace('["dans", "nscaching"]', '["uniform"]')
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
    text = SMALL.replace('["dans", "nscaching"]', '["uniform"]')
    first = study_file(tmp_path, epochs=3, text=text.replace('"nations"', f'"{data}"'))
    assert conduct(tmp_path, first).returncode == 0
    moved = (tmp_path / "here").rename(tmp_path / "there") / "data"
    second = text.replace('"nations"', f'"{moved}"').replace("seeds = 2", "seeds = 3")
    done = conduct(tmp_path, study_file(tmp_path, epochs=3, text=second))
    assert done.returncode == 0, done.stderr
    assert "4 are done already" in done.stdout and "6 of 6 runs are done" in done.stdout


def test_a_run_that_a_viewer_stops_is_told(tmp_path: Path) -> None:
    file = study_file(tmp_path, epochs=3000, text=SMALL.replace('["dans", "nscaching"]', '["uniform"]'))
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


def test_without_processes_every_run_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dans_lab.study.crew import Processes
    from dans_lab.study.orders import Order

    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    order = Order(kind="time", run="a", config={}, study="s", source="nations", root=str(tmp_path))
    with Processes(2) as crew:
        (reply,) = (reply for reply in crew.carry_out([order]) if reply is not None)
    assert "no process could be started" in reply.error


def test_a_run_that_diverges_is_a_result(tmp_path: Path) -> None:
    text = SMALL.replace('["dans", "nscaching"]', '["uniform"]').replace("dim = 16", "dim = 16\nlr = 1.0")
    text = text.replace("dim = 16", "dim = 16\nclip_norm = 1000.0\nl2 = 10.0\ndropout = 0.9")
    file = study_file(tmp_path, epochs=3, text=text)
    plan = read_plan(file)
    # A run whose last status says that it diverged, as a process that was killed right after it leaves it.
    from dans_core.training import Diverged
    from dans_lab.runs.writer import RunWriter

    kg, job = KnowledgeGraph.load("nations"), plan.jobs[0]
    with RunWriter.create(tmp_path, job.run, job.config, kg.name, kg.hash, "nations", "small") as writer:
        writer.write_status("failed", str(Diverged(2, "the loss base")), diverged=True)
    done = conduct(tmp_path, file, "--json")
    assert done.returncode == 0, done.stderr
    records = Study(tmp_path / "studies" / "small").records()
    assert records[job.run].state == "failed" and records[job.run].reason.startswith("diverged at epoch 2")
    assert not records[job.run].test and not records[job.run].ranks
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0]["runs"] == 4 and lines[-1]["done"] == 4


def test_an_estimate_is_said_before_it_begins_and_kept(straight: Path) -> None:
    about = open_study_in(straight).about
    assert about.estimate is not None and about.took is not None and about.workers == "2 processes"
    assert about.estimate / 4 < about.took < about.estimate * 4 + 5


def open_study_in(runs: Path) -> Study:
    return Study(runs / "studies" / "small")


def test_a_study_is_found_by_name_and_folder(straight: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANS_RUNS_DIR", str(straight))
    assert open_study("small").plan.title == "Small"
    assert open_study(str(straight / "studies" / "small")).finished() == set(outcome(straight))
    with pytest.raises(InputError, match=r"there is no study 'smal'.*small"):
        open_study("smal")


@pytest.mark.parametrize("name", [file.stem for file in sorted(SHIPPED.glob("*.toml"))])
def test_the_shipped_studies_can_be_read(name: str) -> None:
    plan = read_plan(name)
    assert (len(plan.seeds) >= 5 or plan.budget) and plan.question.endswith("?")
    for job in plan.jobs:
        assert run_id_error(job.run) is None
        assert job.run == plan.run_id(job.config)
    for part in plan.parts:
        assert all(len(plan.runs_of(cell)) == len(plan.seeds) for cell in part.cells)
        assert part.reference in part.rows.values


@pytest.mark.parametrize("folder", shipped_studies(), ids=lambda path: path.name)
def test_shipped_studies_are_read_with_what_they_were_run_with(folder: Path) -> None:
    """Neither the committed tables nor the files they came from depend on a recipe that came later."""
    study = Study(folder)
    assert study.about.made_for == 0
    assert {job.run for job in study.plan.jobs} == study.finished()
    # The tables of UMLS were made before counts were kept.
    again = read_plan(folder.name).made_for(study.about.counts.get("train", 5_216))
    assert {job.run for job in again.jobs} == study.finished()


# A file as short as can be; what it leaves open is what matters here.
OPEN = """
title = "Open"
dataset = "{folder}"
seeds = 1
[settings]
dim = 8
layers = 1
negatives = 12
epochs = 1
[grid]
sampler = ["dans", "uniform", "nscaching", "one-vs-all"]
"""
TRAIN = ["--epochs", "1", "--set", "dim=8", "--set", "layers=1", "--set", "negatives=12"]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a graph of more training triplets than small ones have."""
    folder = tmp_path_factory.mktemp("data") / "large"
    large_run.graph(folder, 3_000, 60_000, 5)
    return folder


def test_a_study_that_sets_nothing_trains_what_train_would(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    text = f'title = "Nothing set"\ndataset = "{large}"\n[grid]\nsampler = {sorted(SAMPLERS)}\n'
    plan = parse_plan(text, "nothing", "nothing.toml").made_for(86_835)
    for job in plan.jobs:
        assert job.config == config_for(86_835, {"sampler": job.config.sampler, "seed": job.config.seed})
    assert {job.config.epochs for job in plan.jobs} == {150} and plan.by_size["epochs"] == {150: 12}
    assert plan.by_size["negatives"] == {200: 3}, "samplers that share their negatives"
    assert plan.made_for(0) == parse_plan(text, "nothing", "nothing.toml")
    # And through the two commands, as far as the settings.
    file = tmp_path / "open.toml"
    file.write_text(OPEN.format(folder=large))
    with conducting(read_plan(file)) as conduct:
        configs = {job.config.sampler: job.config for job in conduct.plan.jobs}
        assert conduct.study.about.made_for == len(conduct.kg.train) > 50_000
        told = facts.by_size(conduct.plan)
    assert main(["train", "--dataset", str(large), "--sampler", "uniform", *TRAIN, "--out", "one"]) == 0
    assert Run(tmp_path / "one").config == configs["uniform"]
    assert "batch_size=15000" in capsys.readouterr().out
    assert "batch_size = 15000" in told and "shared = 100 in 2 of 4 settings" in told


def test_a_study_goes_on_with_the_rule_it_was_begun_with(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    file = tmp_path / "open.toml"
    file.write_text(OPEN.format(folder=large))
    with conducting(read_plan(file)) as conduct:
        begun = conduct.plan
    with conducting(read_plan(file)) as conduct:
        assert conduct.plan == begun == Study(tmp_path / "studies" / "open").plan
    about = tmp_path / "studies" / "open" / "study.json"
    before = {name: value for name, value in json.loads(about.read_text()).items() if name != "made_for"}
    about.write_text(json.dumps(before))
    with conducting(read_plan(file)) as conduct:
        assert conduct.plan == read_plan(file) == Study(tmp_path / "studies" / "open").plan
        assert {job.config.batch_size for job in conduct.plan.jobs} == {Config().batch_size}


def test_a_study_at_odds_with_the_recipe_says_so_before_anything_is_written(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    file = tmp_path / "odds.toml"
    file.write_text(OPEN.format(folder=large).replace("negatives = 12", "negatives = 10"))
    plan = read_plan(file)
    with (
        pytest.raises(InputError, match=r"study odds: pathway_fakes = 5 .* chosen for a graph of"),
        conducting(plan),
    ):
        pass
    assert not (tmp_path / "studies").exists()


def test_the_main_table_is_twelve_samplers_by_three_decoders_at_one_budget() -> None:
    plan = read_plan("main")
    (part,) = plan.parts
    assert len(part.rows.values) == 12 and [len(axis.values) for axis in part.columns] == [3]
    assert len(plan.jobs) == 12 * 3 * len(plan.seeds)
    budgets = {(job.config.epochs, job.config.negatives, job.config.batch_size) for job in plan.jobs}
    assert len(budgets) == 1, "all samplers have the same budget"


def test_parts_share_runs_that_are_the_same() -> None:
    text = """
    title = "Two sweeps"
    seeds = 1
    [[part]]
    title = "N_s"
    grid = { negatives = [10, 20] }
    [[part]]
    title = "σ"
    grid = { sigma = [0.1, 0.5] }
    """
    plan = parse_plan(text, "sweeps", "sweeps.toml")
    assert [len(part.cells) for part in plan.parts] == [2, 2]
    assert len(plan.jobs) == 3
    shared = plan.parts[0].cell({"negatives": 20}), plan.parts[1].cell({"sigma": 0.5})
    assert plan.runs_of(shared[0]) == plan.runs_of(shared[1])


def test_a_part_has_the_note_of_the_file_but_for_one_of_its_own() -> None:
    text = """
    title = "Two sweeps"
    note = "Said of all."
    seeds = 1
    [[part]]
    title = "N_s"
    grid = { negatives = [10, 20] }
    [[part]]
    title = "σ"
    note = "Said of σ."
    grid = { sigma = [0.1, 0.5] }
    """
    plan = parse_plan(text, "sweeps", "sweeps.toml")
    assert [part.note for part in plan.parts] == ["Said of all.", "Said of σ."]


def test_variants_multiply_with_the_grid_and_take_presets() -> None:
    text = """
    title = "t"
    preset = "paper"
    [grid]
    decoder = ["distmult", "rotate"]
    [[variant]]
    name = "as it is"
    [[variant]]
    name = "faults"
    preset = "released-faults"
    epochs = 100
    """
    (part,) = parse_plan(text, "t", "t.toml").parts
    assert part.rows.name == VARIANT and len(part.cells) == 4
    faults = part.cell({VARIANT: "faults", "decoder": "rotate"}).config
    assert (faults.film, faults.aux_weight, faults.pathways) == ("frozen", 0.0, "G_R")
    assert (faults.epochs, faults.decoder, faults.sigma) == (100, "rotate", 0.01)


def test_a_variant_has_its_own_epochs_and_batches_and_the_study_a_budget() -> None:
    plan = small_plan(EQUAL_TIME, "equal")
    assert plan.budget.startswith("Each run may train for about a minute")
    spent = {cell.labels[VARIANT]: cell.config for cell in plan.parts[0].cells}
    assert {name: config.epochs for name, config in spent.items()} == {
        "DANS": 60,
        "Uniform": 200,
        "NSCaching": 120,
    }
    assert spent["Uniform"].batch_size == 500 and spent["DANS"].batch_size != 500
    assert small_plan().budget == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title = ", "is not TOML"),
        (
            'title = "t"\nbudget = 600\n[grid]\nsampler = ["uniform"]',
            "budget: input should be a valid string",
        ),
        ('dataset = "umls"', "title is missing"),
        ('title = "t"', "nothing to compare"),
        ('title = "t"\n[grid]\nsampler = []', "must be a list of different values"),
        ('title = "t"\n[grid]\nsampler = ["uniform", "uniform"]', "must be a list of different values"),
        ('title = "t"\n[grid]\nsampler = ["unifrom"]', "sampler = 'unifrom': must be one of dans, uniform"),
        ('title = "t"\n[grid]\nsamplers = ["uniform"]', "no setting 'samplers'; did you mean 'sampler'"),
        ('title = "t"\n[grid]\nseed = [1]', "seed is given by seeds"),
        ('title = "t"\n[grid]\nvariant = ["a"]', "variant is no setting"),
        ('title = "t"\nseeds = 10000000000\n[grid]\nsampler = ["uniform"]', "more than 10,000 runs"),
        (f"title = 't'\n[grid]\nlr = {LONG}\nl2 = {LONG}\nsigma = {LONG}", "asks for 1,000,000 settings"),
        ('title = "t"\nseeds = 0\n[grid]\nsampler = ["uniform"]', "seeds = 0"),
        ('title = "t"\nseeds = [1, 1]\n[grid]\nsampler = ["uniform"]', "list of different seeds"),
        ('title = "t"\nseeds = "many"\n[grid]\nsampler = ["uniform"]', "seeds"),
        ('title = "t"\npreset = "x"\n[grid]\nsampler = ["uniform"]', "preset = 'x': must be one of default"),
        ('title = "t"\nsede = 3\n[grid]\nsampler = ["uniform"]', "no field 'sede'; did you mean 'seeds'"),
        ('title = "t"\n[settings]\nepochs = 0\n[grid]\nsampler = ["uniform"]', "epochs = 0: must be"),
        ('title = "t"\n[grid]\nsampler = ["uniform"]\n[table]\nrows = "decoder"', "rows = 'decoder'"),
        ('title = "t"\n[grid]\nsampler = ["uniform"]\n[table]\nreference = "dans"', "reference = 'dans'"),
        ('title = "t"\n[grid]\nsampler = ["uniform"]\n[table]\nfigure = "pie"', "figure"),
        ('title = "t"\n[[variant]]\nfilm = "none"', "a variant needs a name"),
        ('title = "t"\n[[variant]]\nname = "a"\n[[variant]]\nname = "a"', "two variants have the name"),
        ('title = "t"\n[[part]]\ntitle = "p"\ngrid = {sigma = [-1]}', "part 'p': sigma = -1"),
        ('title = "t"\nseeds = 100000\n[grid]\nsampler = ["uniform"]', "more than 10,000"),
    ],
)
def test_a_mistake_in_a_study_file_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(InputError) as raised:
        read_plan(file)
    assert words in str(raised.value) and str(file) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-study"], "there is no study 'no-such-study'"),
        (["./none.toml"], "there is no study file none.toml"),
        (["main", "--workers", "0"], "--workers 0: must be a whole number"),
        (["main", "--workers", "2", "--ray", "auto"], "leave it out"),
        (["main", "--ray", "127.0.0.1:1"], "there is no Ray cluster at '127.0.0.1:1'"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    if "127.0.0.1:1" in arguments:
        pytest.importorskip("ray", reason="Ray is not installed")
    refused = conduct(tmp_path, *arguments)
    assert refused.returncode == 2 and words in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1 and not refused.stdout


def test_an_unreadable_name_or_file(tmp_path: Path) -> None:
    study_file(tmp_path).rename(tmp_path / "Big Name.toml")
    with pytest.raises(InputError, match="cannot name a study"):
        read_plan(tmp_path / "Big Name.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        read_plan(tmp_path / "binary.toml")
    with pytest.raises(InputError, match="cannot be read"):
        read_plan(tmp_path)


def test_a_damaged_record_is_one_sentence(tmp_path: Path, straight: Path) -> None:
    folder = tmp_path / "studies" / "small"
    (folder / "records").mkdir(parents=True)
    (folder / "records" / "a.json").write_text('{"run": "a"}')
    with pytest.raises(InputError, match=r"a\.json: seed: Field required"):
        Study(folder).records()


def ranking(epoch: int, mrr: float) -> Ranking:
    return Ranking(epoch, "valid", mrr, 0.0, 0.0, 0.0, 0.0, False)


def losses(epoch: int, warm_up: bool, **values: float) -> Losses:
    return Losses(epoch=epoch, base=1.0, warm_up=warm_up, seconds=0.1, **values)


def test_convergence_of_known_events() -> None:
    level = [ranking(epoch, 0.5 if epoch > 3 else 0.1 * epoch) for epoch in range(1, 41)]
    still = convergence(level)
    assert set(still) == {"oscillation", "fall", "epochs_to_level"}
    assert still["oscillation"] == pytest.approx(0) and still["fall"] == 0 and still["epochs_to_level"] == 4
    shaking = [ranking(epoch, 0.5 + (0.1 if epoch % 2 else -0.1)) for epoch in range(1, 41)]
    assert convergence(shaking)["oscillation"] == pytest.approx(0.1, rel=0.2)
    assert convergence(shaking)["fall"] == pytest.approx(0.2)
    rising = [ranking(epoch, epoch / 100) for epoch in range(1, 41)]
    assert convergence(rising)["oscillation"] < 0.01, "a trend is no oscillation"


def test_convergence_of_the_game() -> None:
    health = dict(
        outscores_random=0.4, outscores_positive=0.1, mean_score=0.0, effective_rank=5.0, copy_spread=0.5,
        distinct_nearest=50, scale=1.0, false_negatives=0.1, conditions=100,
    )  # fmt: skip
    sound = PathwayHealth(mean_cosine=0.2, **health)
    collapsed = PathwayHealth(mean_cosine=0.99, **health)
    checks = {1: collapsed, 2: collapsed, 3: sound, 4: sound}
    events: list[Any] = []
    for epoch, state in checks.items():
        events.append(losses(epoch, epoch == 1, g_e=1.0, g_r=2.0, d_real=0.9, d_fake_e=0.1, d_fake_r=0.3))
        events.append(Diagnostics(epoch, 1.0, 0.0, 0.1, 0.1, g_e=state, g_r=sound, num_entities=100))
    found = convergence(events)
    assert set(found) <= set(FIGURES)
    assert found["collapse"] == pytest.approx(1 / 3), "the check in the warm-up does not count"
    assert found["false_negatives"] == pytest.approx(0.1)
    assert found["balance"] == pytest.approx(0.7) and found["hardness"] == pytest.approx(0.4)
    assert found["game_oscillation"] == pytest.approx(0)


def test_swing_does_not_need_many_values() -> None:
    assert swing(np.array([])) == 0 and swing(np.array([1.0])) == 0 and swing(np.array([1.0, 2.0])) == 0
    for n in range(3, 40):
        assert swing(np.full(n, 0.3)) == pytest.approx(0, abs=1e-12)
        assert np.isfinite(swing(np.arange(n, dtype=float)))


def test_curves_keep_at_most_a_hundred_epochs_and_the_last() -> None:
    events: list[Any] = [ranking(epoch, 0.5) for epoch in range(2, 602, 2)]
    events += [losses(epoch, False, g_e=1.0) for epoch in range(1, 601)]
    kept = curves(events)
    assert len(kept["epoch"]) <= 100 and kept["epoch"][-1] == 600
    assert set(kept) == {"epoch", "seconds", "valid_mrr", "base", "g_e"}
    assert kept["seconds"] == pytest.approx([0.1 * epoch for epoch in kept["epoch"]], rel=1e-5)
    assert all(len(column) == len(kept["epoch"]) for column in kept.values())
    assert curves([]) == {}


def test_a_record_is_strict_and_small(straight: Path) -> None:
    for file in (straight / "studies" / "small" / "records").iterdir():
        assert file.stat().st_size < 40_000
        assert RunRecord.model_validate_json(file.read_bytes()).run == file.stem


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A Ray cluster of two nodes with one CPU each on this machine; its address."""
    pytest.importorskip("ray", reason="Ray is not installed")
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        nodes.add_node(num_cpus=1)
        yield nodes.address
    finally:
        nodes.shutdown()


def test_a_ray_cluster_of_two_nodes_comes_to_the_same_numbers(
    straight: Path, tmp_path: Path, cluster: str
) -> None:
    done = conduct(tmp_path, study_file(tmp_path), "--ray", cluster, timeout=240)
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
    again = conduct(tmp_path, study_file(tmp_path), "--ray", cluster, timeout=240)
    assert again.returncode == 0 and "7 are done already" in again.stdout
    assert outcome(tmp_path) == outcome(straight)


def test_settings_of_a_config_differ_from_those_of_another_in_their_run_id() -> None:
    plan = read_plan("ablation")
    ids = {plan.run_id(Config(**values)) for values in ({}, {"seed": 1}, {"sigma": 0.4}, {"film": "none"})}
    assert len(ids) == 4
