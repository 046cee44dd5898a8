"""One run on several processes: the numbers of one, the same weights on all, and a run like any other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dans_core import Config, KnowledgeGraph, Trainer
from dans_lab.cli import main
from dans_lab.runs.drive import drive
from dans_lab.runs.run import Run
from dans_lab.runs.writer import RunWriter
from tests.waiting import PATIENCE, wait_for

ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m"]
"""What the command torchrun is."""


def environment(runs: Path) -> dict[str, str]:
    return {**os.environ, "DANS_RUNS_DIR": str(runs), "DANS_THREADS": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> list[dict[str, Any]]:
    """What both processes came to in `on_ranks.py`."""
    out = tmp_path_factory.mktemp("ranks")
    done = subprocess.run(
        [*TORCHRUN, "tests.lab.on_ranks", str(out)],
        cwd=ROOT,
        env=environment(out),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads((out / f"{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.long
@pytest.mark.parametrize("case", ["one-vs-all, whole", "one-vs-all, uneven", "dans, whole", "dans, uneven"])
def test_two_processes_give_the_numbers_of_one(found, case):
    """Without dropout, with frozen batch norm, and where no negatives are drawn."""
    for rank in found:
        assert rank[case]["stages"] >= 8
        assert rank[case]["values"] < 1e-12 and rank[case]["weights"] < 1e-12


@pytest.mark.long
def test_all_processes_have_the_same_weights_after_every_stage(found):
    """With all that is random, and also those that go on from what the first one kept within an epoch."""
    for rank in found:
        run = rank["all"]
        assert run["apart"] == 0.0 and run["stages"] > 30 and run["epoch"] > 2
        assert run["again"] and run["states"] > 4
        assert len(set(run["seeds"])) == 2
        assert not run["ranks_differ"]


@pytest.mark.long
def test_what_several_cannot_train_is_refused(found):
    memory, few = found[0]["refused"]
    assert "nscaching" in memory and "train this run on one" in memory
    assert "1 training triplets for 2 processes" in few


def began(runs: Path, *words: str) -> subprocess.Popen[str]:
    """A training on two processes, in a session of its own as in a terminal."""
    return subprocess.Popen(
        [*TORCHRUN, "dans_core", "train", *words],
        cwd=ROOT,
        env=environment(runs),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end(torchrun: subprocess.Popen[str]) -> None:
    """Leave nothing behind; killed, torchrun would leave its processes."""
    if torchrun.poll() is None:
        torchrun.terminate()
        torchrun.communicate()


def process_of(torchrun: int, rank: int) -> int:
    """The process id of a rank."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == torchrun and f"\0RANK={rank}\0" in (folder / "environ").read_text():
                return int(folder.name)
        except (OSError, ValueError):
            continue
    raise AssertionError(f"no process of rank {rank}")


@pytest.mark.kill
def test_a_run_of_two_is_stopped_goes_on_alone_and_again_on_two_until_one_of_them_dies(tmp_path, capsys):
    words = ["--dataset", "nations", "--epochs", "100000", "--set", "dim=8", "--set", "warmup_epochs=2"]
    torchrun = began(tmp_path, *words, "--out", "run")
    run = Run(tmp_path / "run")
    try:
        wait_for(lambda: (run.path / "status.json").exists() and run.status.epoch > 2, "training")
        # torchrun passes Ctrl-C on to both.
        torchrun.send_signal(signal.SIGINT)
        said, complained = torchrun.communicate(timeout=PATIENCE)
    finally:
        end(torchrun)
    assert "2 processes train together" in said and "go on: python -m dans_core train --resume run" in said
    assert said.count("stopped at epoch") == 1
    assert str(ROOT) not in complained, "a traceback of ours"
    status = run.status
    assert (status.state, Run(run.path).meta.processes, status.live) == ("stopped", "2", False)
    assert run.load_checkpoint("last")["progress"]["epoch"] == status.epoch
    assert main(["evaluate", str(run.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mrr"] > 0

    with RunWriter.reopen(run.path) as writer:
        kg = KnowledgeGraph.load("nations")
        trainer = Trainer(kg, writer.config)
        until = status.epoch + 3
        assert drive(writer, trainer, lambda: trainer.epoch == until) == "stopped"
    assert (run.status.epoch, Run(run.path).meta.processes) == (until, "2, then 1")

    torchrun = began(tmp_path, "--resume", "run")
    try:
        wait_for(lambda: run.status.epoch > until + 3, "going on")
        os.kill(process_of(torchrun.pid, 1), signal.SIGKILL)
        said, complained = torchrun.communicate(timeout=PATIENCE)
    finally:
        end(torchrun)
    status = run.status
    assert (status.state, Run(run.path).meta.processes, status.live) == (
        "stopped",
        "2, then 1, then 2",
        False,
    )
    assert "another process of this run ended" in status.reason
    assert complained.count(f"error: {status.reason}") == 1
    assert torchrun.returncode != 0
    epochs = [event.epoch for event in run.events() if hasattr(event, "base")]
    assert epochs == list(range(1, len(epochs) + 1))
    with RunWriter.reopen(run.path) as writer:
        again = Trainer(kg, Config(**writer.config.model_dump()))
        assert writer.state is not None
        again.load_state_dict(writer.state)
        assert again.epoch >= until
