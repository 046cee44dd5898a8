"""A disk without room, a folder that is gone or cannot be written: one sentence, and no half-made run."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dans_core.config import Config
from dans_core.training import Trainer
from dans_data.errors import InputError
from dans_lab.cli import main
from dans_lab.runs import locks
from dans_lab.runs.drive import drive
from dans_lab.runs.run import Run
from dans_lab.runs.writer import RunWriter

CONFIG = Config(decoder="distmult", sampler="uniform", epochs=4, warmup_epochs=0, dim=16, snapshot_every=2)


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file of this process gets more bytes than that: the system refuses as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A folder that this process cannot write: root can write them all, so it is someone else meanwhile."""
    folder = Path(tempfile.mkdtemp())
    root = os.geteuid() == 0
    (folder / "runs").mkdir()
    try:
        yield folder / "runs"
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
        (folder / "runs").chmod(0o755)
        shutil.rmtree(folder)


def lock_up(folder: Path) -> None:
    """From now on this process cannot write in the folder and what is in it."""
    for path in (folder.parent, folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    if os.geteuid() == 0:
        os.seteuid(65534)


def create(root: Path, kg) -> RunWriter:
    return RunWriter.create(root, "a-run", CONFIG, kg.name, kg.hash, "nations")


def is_one_sentence(text: str) -> bool:
    return "\n" not in text.strip() and "Traceback" not in text and len(text) < 300


@pytest.mark.parametrize("size", [0, 20, 100, 400])
def test_no_half_made_run_is_left(tmp_path, nations, size):
    with room_for(size), pytest.raises(InputError, match="there is no room for") as told:
        create(tmp_path, nations)
    assert is_one_sentence(str(told.value)) and list(tmp_path.iterdir()) == []
    create(tmp_path, nations).close()


@pytest.mark.parametrize("size", [600, 3_000, 9_000, 30_000])
def test_a_run_stops_where_there_is_no_room_and_goes_on_where_there_is(tmp_path, nations, size):
    with create(tmp_path, nations) as writer, room_for(size):
        assert drive(writer, Trainer(nations, CONFIG), lambda: False) == "stopped"
    run = Run(tmp_path / "a-run")
    status = run.status
    assert (
        status.state == "stopped"
        and "make room on its disk" in status.reason
        and is_one_sentence(status.reason)
    )
    assert not locks.is_held(run.path / "run.lock")
    with RunWriter.reopen(run.path) as writer:
        assert drive(writer, Trainer(nations, CONFIG), lambda: False) == "finished"
    assert run.status.reason == "" and [epoch for epoch, _ in run.snapshots()] == [0, 2, 4]


def test_where_not_even_the_status_can_be_written_the_run_is_interrupted(tmp_path, nations):
    with create(tmp_path, nations) as writer, room_for(0):
        assert drive(writer, Trainer(nations, CONFIG), lambda: False) == "stopped"
        assert "make room" in writer.status.reason
    assert Run(tmp_path / "a-run").stored_status.state == "queued"
    with RunWriter.reopen(tmp_path / "a-run") as writer:
        assert drive(writer, Trainer(nations, CONFIG), lambda: False) == "finished"


def test_a_folder_that_vanishes_ends_the_run_with_a_sentence(tmp_path, nations):
    with create(tmp_path, nations) as writer:
        trainer = Trainer(nations, CONFIG)
        gone = drive(writer, trainer, lambda: False, on_stage=lambda stage: shutil.rmtree(writer.path, True))
        assert gone == "stopped"
        assert "is gone" in writer.status.reason and is_one_sentence(writer.status.reason)
    assert not writer.path.exists()


def test_in_a_folder_that_cannot_be_written_nothing_starts(read_only, nations):
    create(read_only, nations).close()
    lock_up(read_only)
    with pytest.raises(InputError, match=r"cannot be made .*take another folder by DANS_RUNS_DIR"):
        RunWriter.create(read_only, "another", CONFIG, nations.name, nations.hash, "nations")
    for taking in (RunWriter.reopen, RunWriter.requeue):
        with pytest.raises(InputError, match="cannot be written"):
            taking(read_only / "a-run")
    with (
        pytest.raises(InputError, match="cannot be written"),
        locks.one_start_at_a_time(read_only / ".cache"),
    ):
        pass
    assert Run(read_only / "a-run").status.state == "queued"


@pytest.mark.parametrize("size", [0, 300, 9_000])
def test_the_terminal_says_it_in_a_line(tmp_path, monkeypatch, capsys, size):
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    settings = ["--decoder", "distmult", "--sampler", "uniform", "--epochs", "4", "--set", "warmup_epochs=0"]
    # What Python puts into the cache of its modules is no part of this.
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    with room_for(size):
        assert main(["train", "--dataset", "nations", *settings, "--out", "r"]) in (1, 2)
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("error: there is no room for") and is_one_sentence(said)
    assert (tmp_path / "r").exists() == (size == 9_000)
