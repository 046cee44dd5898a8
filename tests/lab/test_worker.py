"""The loop between Trainer and run directory, and the process around it: pausing, stopping, dying, going on."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dans_core.config import Config
from dans_core.events import Losses, Ranking, Snapshot
from dans_core.kg import KnowledgeGraph
from dans_core.training import Trainer
from dans_lab import worker
from dans_lab.budget import practice, speed
from dans_lab.presets import PRESETS
from dans_lab.runs import drive, machine, process
from dans_lab.runs.run import Run
from dans_lab.runs.writer import RunWriter
from tests.same_run import assert_same_run
from tests.waiting import PATIENCE, wait_for

# With these the best valid epoch is the tenth of twelve, well after the second.
SMALL = {"epochs": 12, "warmup_epochs": 4, "dim": 8, "lr": 0.05, "eval_every": 2, "snapshot_every": 5}
CONFIG = Config(**PRESETS["fakes-as-negatives"], **SMALL)


def create(root: Path, kg: KnowledgeGraph, config: Config = CONFIG, run_id: str = "a-run") -> RunWriter:
    return RunWriter.create(root, run_id, config, kg.name, kg.hash, kg.name)


def train(writer: RunWriter, kg: KnowledgeGraph, **hooks: Any) -> str:
    """Drive a run to its end and let go of it."""
    with writer:
        return drive.drive(writer, Trainer(kg, writer.config), hooks.pop("stop", lambda: False), **hooks)


@pytest.fixture(autouse=True, scope="module")
def short_practice(tmp_path_factory):
    """The least that can be timed, kept in a place of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DANS_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        few = {"triplets": 20, "base_steps": 2, "game_steps": 2}
        patch.setattr(practice, "SMALL", replace(practice.SMALL, **few))
        patch.setattr(practice, "LARGE", replace(practice.LARGE, entities=600, **few))
        yield


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, nations) -> Run:
    """A run that was never stopped."""
    writer = create(tmp_path_factory.mktemp("runs"), nations)
    assert train(writer, nations) == "finished"
    return writer.run


def test_a_finished_run_is_complete(unbroken):
    status = unbroken.status
    assert (status.state, status.epoch, status.live, status.eta_seconds) == ("finished", 12, False, None)
    rankings = [event for event in unbroken.events() if isinstance(event, Ranking)]
    best = max(rankings, key=lambda event: event.mrr)
    assert (status.best_epoch, status.best_mrr) == (best.epoch, best.mrr)
    assert unbroken.load_checkpoint("best")["epoch"] == best.epoch
    assert [epoch for epoch, _ in unbroken.snapshots()] == [0, 5, 10, 12]
    assert [event.file for event in unbroken.events() if isinstance(event, Snapshot)] == [
        path.name for _, path in unbroken.snapshots()
    ]
    # 4 epochs of encode and base, 8 with G_E, G_R and D between them.
    assert status.stage_number == 4 * 2 + 8 * 5


@pytest.mark.parametrize("stages", [0, 1, 7, 8, 11, 13, 30])
def test_stopped_anywhere_and_resumed_gives_the_same_run(stages, tmp_path, nations, unbroken):
    done = []
    state = train(create(tmp_path, nations), nations, stop=lambda: len(done) >= stages, on_stage=done.append)
    run = Run(tmp_path / "a-run")
    assert state == run.status.state == "stopped"
    assert run.status.stage_number == stages
    assert train(RunWriter.reopen(run.path), nations) == "finished"
    assert_same_run(run, unbroken)


@pytest.mark.parametrize("stages", [8, 10, 13, 15, 22])
def test_a_run_whose_fakes_are_proposals_is_resumed_as_it_was(stages, tmp_path, nations):
    """In the warm-up, in a round of the game, and between two rounds, when proposals and an average are kept."""
    config = Config(**SMALL, play_every=3)
    assert (config.reading, config.average) == ("entities", 0.97)
    whole = create(tmp_path, nations, config, "whole")
    assert train(whole, nations) == "finished"
    # 4 epochs of encode and base, 8 more, in three of which there is a round.
    assert whole.run.status.stage_number == 12 * 2 + 3 * 3
    done = []
    writer = create(tmp_path, nations, config)
    assert train(writer, nations, stop=lambda: len(done) >= stages, on_stage=done.append) == "stopped"
    assert train(RunWriter.reopen(writer.path), nations) == "finished"
    assert_same_run(writer.run, whole.run)


def test_work_after_the_last_checkpoint_is_done_again(tmp_path, nations, unbroken, monkeypatch):
    """Dying between two checkpoints: the files are ahead of last.pt in every way."""
    monkeypatch.setattr(drive, "BEST_EVERY", 0.0)

    class Died(BaseException):
        pass

    def die(stage: Any) -> None:
        if stage.number == 20:
            monkeypatch.setattr(drive, "CHECKPOINT_EVERY", 0.0)
        if stage.number == 21:
            monkeypatch.setattr(drive, "CHECKPOINT_EVERY", 10.0)
        if stage.number == 41:
            raise Died

    with pytest.raises(Died):
        train(create(tmp_path, nations), nations, on_stage=die)
    run = Run(tmp_path / "a-run")
    assert run.load_checkpoint("last")["progress"]["stage_number"] == 21
    assert run.load_checkpoint("best")["epoch"] > run.load_checkpoint("last")["progress"]["epoch"]
    assert train(RunWriter.reopen(run.path), nations) == "finished"
    assert_same_run(run, unbroken)


def test_pause_step_resume_and_stop(tmp_path, nations, unbroken):
    writer = create(tmp_path, nations)
    run = writer.run
    run.request(run_until=0)
    states: list[str] = []
    thread = threading.Thread(target=train, args=(writer, nations), kwargs={"on_state": states.append})
    thread.start()
    try:
        wait_for(lambda: run.status.state == "paused", "the pause")
        assert (run.status.stage_number, run.status.live) == (0, True)
        for number in range(1, 16):
            run.request(run_until=number)
            wait_for(lambda n=number: run.status.stage_number == n, f"stage {number}")
            wait_for(lambda: run.status.state == "paused", "the pause after a step")
        assert run.status.stage == "G_E"
        assert "g_e" in run.status.values
        assert run.load_checkpoint("last")["progress"]["stage_number"] == 15
        run.request(run_until=3)
        time.sleep(3 * drive.POLL_EVERY)
        assert run.status.stage_number == 15, "a target that is behind is a pause"
        assert len(states) == 15 + 1, "one pause for each target, and none for repeating it"
    finally:
        run.request()
        thread.join(PATIENCE)
    assert run.status.state == "finished"
    assert set(states[:-1]) == {"paused"} and states[-1] == "running"
    assert_same_run(run, unbroken)


def test_a_long_pause_ends_the_process_and_can_be_resumed(tmp_path, nations, unbroken, monkeypatch):
    monkeypatch.setattr(drive, "PAUSE_LIMIT", 0.2)
    writer = create(tmp_path, nations)
    writer.run.request(run_until=9)
    assert train(writer, nations) == "paused"
    run = Run(tmp_path / "a-run")
    assert (run.status.state, run.status.live, run.status.stage_number) == ("paused", False, 9)
    assert train(RunWriter.reopen(run.path), nations) == "finished"
    assert_same_run(run, unbroken)


def test_a_stop_asked_by_a_viewer(tmp_path, nations):
    writer = create(tmp_path, nations)
    writer.run.request(stop=True)
    assert train(writer, nations) == "stopped"


def test_a_run_that_diverges_fails_with_a_reason(tmp_path, nations):
    writer = create(tmp_path, nations)
    trainer = Trainer(nations, CONFIG)
    for _ in range(4):
        trainer.step()
    with torch.no_grad():
        trainer.model.relation.fill_(float("nan"))
    with writer:
        assert drive.drive(writer, trainer, lambda: False) == "failed"
    status = writer.run.status
    assert status.state == "failed"
    assert status.diverged and status.reason.startswith("diverged at epoch 3")
    assert not (writer.path / "log.txt").exists()


def test_any_other_failure_is_told_in_a_line_and_traced_in_the_log(tmp_path, nations):
    with create(tmp_path, nations) as writer:
        trainer = Trainer(nations, CONFIG)
        assert drive.drive(writer, trainer, lambda: False, on_stage=lambda stage: 1 // 0) == "failed"
    status = writer.run.stored_status
    assert status.reason.startswith("ZeroDivisionError: ") and "\n" not in status.reason
    assert "Traceback" in (writer.path / "log.txt").read_text()


def test_the_time_left_knows_that_the_gan_is_dearer():
    left = drive._TimeLeft(Config(epochs=100, warmup_epochs=40, play_every=1))
    assert left.after(0) is None
    left.epoch_done(1.0, warm_up=True)
    assert left.after(10) == 30 + drive.GAN_COST * 60
    left.epoch_done(5.0, warm_up=False)
    assert left.after(41) == 59 * 5
    seldom = drive._TimeLeft(Config(epochs=100, warmup_epochs=40, play_every=10))
    seldom.epoch_done(1.0, warm_up=True)
    assert seldom.after(10) == pytest.approx(30 + (1 + (drive.GAN_COST - 1) / 10) * 60)
    uniform = drive._TimeLeft(Config(epochs=100, sampler="uniform"))
    uniform.epoch_done(2.0, warm_up=False)
    assert uniform.after(50) == 100


def test_the_first_signal_asks_and_the_second_ends():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    flag, told = process.StopFlag(), []
    flag.told = lambda: told.append("stopping")
    flag.install()
    try:
        signal.raise_signal(signal.SIGTERM)
        assert flag.asked and told == ["stopping"]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.fixture
def job(monkeypatch):
    """A worker in this process: give it its input, get its exit code."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(line: str | io.StringIO, dataset: str | None = None) -> int:
        monkeypatch.setattr(sys, "stdin", io.StringIO(line) if isinstance(line, str) else line)
        return worker.main(dataset)

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    "line", ["{", "{}", '{"run_dir": 3}', '{"run_dir": "/nowhere", "resume": false}', "x\n"]
)
def test_a_line_that_is_no_job(line, job, capsys):
    assert job(line) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_end_of_input_before_a_job_is_the_end(job, capsys):
    assert job("") == 0
    assert capsys.readouterr() == ("", "")


def test_a_waiting_worker_times_this_machine(job):
    assert speed.here() is None

    class Later(io.StringIO):
        def readline(self, *size: int) -> str:
            wait_for(lambda: speed.here() is not None, "the practice")
            return ""

    assert job(Later()) == 0
    found = speed.here()
    assert speed.is_fresh(found) and found.device == "cpu"
    assert all(value > 0 for part in (found.small, found.large) for value in (part.base, part.game))
    # The next worker believes it.
    assert job("") == 0 and speed.here() == found


def test_a_practice_that_fails_is_told_and_the_worker_works(job, monkeypatch):
    err = io.StringIO()
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setattr(practice, "SMALL", replace(practice.SMALL, entities=1, relations=1, triplets=1))
    for name in ("FRESH", "SOON"):
        monkeypatch.setattr(speed, name, -1.0)

    class Later(io.StringIO):
        def readline(self, *size: int) -> str:
            wait_for(lambda: "has one entity only" in err.getvalue(), "the failure")
            return "{"

    assert job(Later()) == 2
    assert err.getvalue().splitlines()[-1].startswith("error: not a job")


def test_a_run_that_was_begun_is_not_begun_again(job, capsys, unbroken):
    assert job(json.dumps({"run_dir": str(unbroken.path)})) == 2
    assert "begun before" in capsys.readouterr().err
    assert not (unbroken.path / "log.txt").exists()


def test_data_read_ahead_is_not_used_for_a_run_on_other_data(job, tmp_path, monkeypatch):
    """The files change while the worker waits, and the run is made for what they hold then."""
    monkeypatch.setattr(worker, "_log_to", lambda path: None)
    folder = tmp_path / "data"
    folder.mkdir()

    def write(facts: str) -> None:
        for split in ("train", "valid", "test"):
            (folder / f"{split}.txt").write_text(facts)

    class Later(io.StringIO):
        def readline(self, *size: int) -> str:
            write("a\tlikes\tb\nc\tlikes\tb\n")
            kg = KnowledgeGraph.load(folder)
            RunWriter.create(tmp_path, "a-run", CONFIG, kg.name, kg.hash, folder).close()
            return json.dumps({"run_dir": str(tmp_path / "a-run")})

    write("a\tlikes\tb\n")
    assert job(Later(), str(folder)) == 0
    run = Run(tmp_path / "a-run")
    assert run.status.state == "finished"
    assert len(run.load_snapshot(0)["entities"]) == 3


@pytest.mark.parametrize("dataset", ["no-such-data", "/"])
def test_a_wrong_guess_at_the_data_is_no_failure(dataset, job, capsys):
    assert job("", dataset) == 0
    assert capsys.readouterr() == ("", "")


def start(*dataset: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dans_lab.worker", *dataset],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, machine.THREADS_VARIABLE: "1"},
    )


def give(process: subprocess.Popen[str], run: Run, resume: bool, **more: bool) -> None:
    process.stdin.write(json.dumps({"run_dir": str(run.path), "resume": resume, **more}) + "\n")
    process.stdin.flush()


def last_epoch(run: Run) -> int:
    return max((event.epoch for event in run.events() if isinstance(event, Losses)), default=0)


@pytest.mark.kill
def test_worker_killed_and_resumed_gives_the_same_run(tmp_path, nations):
    """Killed for good while ahead of its checkpoint; then ended by SIGTERM; then trained to the end."""
    # Many more than it trains before it is killed.
    config = CONFIG.with_values(epochs=300, warmup_epochs=20)
    create(tmp_path, nations, config).close()
    run = Run(tmp_path / "a-run")
    run.request(run_until=50)
    # All warm at once, as an app would keep them.
    first, second = start(), start()
    try:
        give(first, run, resume=False)
        wait_for(lambda: run.status.state == "paused", "the pause")
        assert os.getpriority(os.PRIO_PROCESS, first.pid) == os.nice(0)
        run.request()
        wait_for(lambda: last_epoch(run) > 40, "epochs after the checkpoint")
        first.kill()
        first.wait()
        assert run.status.state == "interrupted"
        ahead = last_epoch(run)
        checkpoint = run.load_checkpoint("last")["progress"]["epoch"]
        assert checkpoint < ahead < 300

        # As one does where many look on.
        give(second, run, resume=True, gives_way=True)
        wait_for(lambda: last_epoch(run) > 60, "epochs of the second worker")
        assert os.getpriority(os.PRIO_PROCESS, second.pid) == min(19, os.nice(0) + worker.COURTESY)
        second.terminate()
        assert second.wait(PATIENCE) == 0
        assert run.status.state == "stopped"
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()
    assert train(RunWriter.reopen(run.path), nations) == "finished"
    reference = create(tmp_path, nations, config, "reference")
    assert train(reference, nations) == "finished"
    assert_same_run(run, reference.run)
    assert (run.path / "log.txt").read_text() == ""


def test_a_worker_that_practised_and_read_ahead_gives_the_same_run(tmp_path, nations, unbroken):
    create(tmp_path, nations).close()
    run = Run(tmp_path / "a-run")
    process = start("nations")
    process.communicate(json.dumps({"run_dir": str(run.path)}), timeout=PATIENCE)
    assert process.returncode == 0
    assert_same_run(run, unbroken)


def test_worker_tells_why_a_run_cannot_be_trained(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for split in ("train", "valid", "test"):
        (data / f"{split}.txt").write_text("a\tlikes\tb\n")
    kg = KnowledgeGraph.load(data)
    RunWriter.create(tmp_path, "a-run", CONFIG, kg.name, kg.hash, data).close()
    (data / "train.txt").write_text("b\tlikes\ta\n")
    process = start()
    process.communicate(json.dumps({"run_dir": str(tmp_path / "a-run")}), timeout=PATIENCE)
    assert process.returncode == 1
    status = Run(tmp_path / "a-run").status
    assert status.state == "failed" and "other triplets" in status.reason
