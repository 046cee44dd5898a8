"""Files in a run folder that are not what they should be: one sentence at that run, in a moment, and no more."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from dans_core.config import Config
from dans_core.training import Trainer
from dans_data.errors import InputError
from dans_lab.cli import main
from dans_lab.runs import bounded
from dans_lab.runs.drive import drive
from dans_lab.runs.folder import Shelf
from dans_lab.runs.frames import Frame
from dans_lab.runs.run import Run, scan_runs
from dans_lab.runs.snapshot_schema import SCHEMA
from dans_lab.runs.writer import RunWriter
from dans_lab.study.plan import parse_plan
from tests import small_run

HUGE = 6_000_000_000


def pipe(path: Path) -> None:
    """A pipe that no one writes to: who opens it without care waits for ever."""
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def sparse(path: Path) -> None:
    """Six gigabytes that take no room on disk."""
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.truncate(HUGE)


def folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def device(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory) -> Path:
    """A folder of two runs with snapshots, checkpoints and events."""
    root = tmp_path_factory.mktemp("two") / "runs"
    small_run.trained(root, "a-run")
    shutil.copytree(root / "a-run", root / "sound")
    return root


@pytest.fixture
def run(tmp_path, two_runs) -> Run:
    """The one of two runs that gets damaged."""
    shutil.copytree(two_runs, tmp_path / "runs")
    return Run(tmp_path / "runs" / "a-run")


@pytest.mark.parametrize("make", [pipe, sparse, folder, device])
@pytest.mark.parametrize("name", ["status.json", "config.json"])
def test_a_file_that_is_none_costs_its_own_run_alone(run, name, make):
    make(run.path / name)
    found = scan_runs(run.path.parent)
    assert [each.id for each in found.runs] == ["sound"]
    assert name in found.unreadable["a-run"] and len(found.unreadable["a-run"]) < 300
    look = Shelf(run.path.parent).look()
    assert "sound" in [entry.id for entry in look.entries] and set(look.unreadable) == {"a-run"}


@pytest.mark.parametrize("make", [pipe, sparse, folder, device])
def test_other_files_that_are_none_are_told_when_they_are_needed(run, make):
    [(epoch, snapshot), *_] = run.snapshots()
    needed = {
        run.path / "events.jsonl": run.events,
        run.path / "best.pt": run.load_checkpoint,
        snapshot: lambda: run.load_snapshot(epoch),
    }
    for path, use in needed.items():
        make(path)
        with pytest.raises(InputError) as told:
            use()
        assert path.name in str(told.value) and len(str(told.value)) < 300
    make(run.path / "control.json")
    assert run.asked.run_until is None


NUMBERS = [10**400, 10**30, -1, -(10**30), 1e300, "Infinity", "NaN", True, '"1"', None, [1], {}]


@pytest.mark.parametrize(
    "name", ["epoch", "epochs", "stage_number", "seconds", "best_epoch", "best_mrr", "updated"]
)
def test_numbers_beyond_all_bounds_are_refused(run, name):
    path = run.path / "status.json"
    sound = json.loads(path.read_text())
    for number in NUMBERS:
        text = json.dumps(sound | {name: "@"}).replace(
            '"@"', str(number) if isinstance(number, str) else json.dumps(number)
        )
        path.write_text(text)
        if number is None and name in ("best_epoch", "best_mrr"):
            continue
        if name in ("seconds", "updated") and number is True:
            continue
        found = scan_runs(run.path.parent)
        assert [each.id for each in found.runs] == ["sound"], number
        assert len(found.unreadable["a-run"]) < 300


@pytest.mark.parametrize(
    "created", ["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00", "now", "2026-01-01"]
)
def test_a_time_at_which_no_run_was_made_is_refused(run, created):
    path = run.path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"created": created}))
    assert set(scan_runs(run.path.parent).unreadable) == {"a-run"}


def odd_arrays() -> list[np.ndarray]:
    return [
        np.float32(3), np.array("text"), np.array(["a", "b"]), np.array([1 + 2j]), np.zeros((0,)), np.zeros((2, 0, 3)),
        np.array([[1]], np.int64), np.array([np.nan, np.inf], np.float32), np.array(True), np.array([2**63], np.uint64),
        np.array(["2026-01-01"], "M8[D]"), np.zeros(3, [("a", "i4")]),
    ]  # fmt: skip


def test_arrays_that_are_no_snapshot_get_one_sentence(run):
    kg = run.load_kg()
    sound = run.load_snapshot(run.snapshots()[0][0])
    Frame.of(sound, kg.num_entities, kg.num_relations)
    for name in SCHEMA:
        for odd in odd_arrays():
            try:
                Frame.of({**sound, name: np.asarray(odd)}, kg.num_entities, kg.num_relations)
            except InputError as error:
                assert len(str(error)) < 300


ODD = [None, 3, "text", [], [1], {}, {"networks": None}, {"networks": []}, {"networks": {"model": 3}},
       {"networks": {"model": {"a": torch.ones(2)}}, "progress": {}, "event_offset": -5},
       {"networks": {"model": 3}, "epoch": 3, "progress": {"epoch": 3}},
       {"networks": {}, "epoch": 3, "progress": {"epoch": 3}, "event_offset": 10**30}]  # fmt: skip


@pytest.mark.parametrize("number", range(len(ODD)))
def test_a_checkpoint_of_another_shape_gets_one_sentence(run, number, capsys, monkeypatch):
    monkeypatch.setenv("DANS_RUNS_DIR", str(run.path.parent))
    for name in ("best.pt", "last.pt"):
        torch.save(ODD[number], run.path / name)
    status = json.loads((run.path / "status.json").read_text())
    (run.path / "status.json").write_text(json.dumps(status | {"state": "stopped"}))
    triplet = ["--triplet", "brazil", "embassy", "china"]
    for command in (
        ["inspect", "a-run", *triplet],
        ["evaluate", "a-run"],
        ["train", "--resume", "--out", str(run.path)],
    ):
        assert main(command) in (1, 2)
        said = capsys.readouterr().err
        assert "Traceback" not in said and "rror" in said, command


@pytest.mark.parametrize(
    "control", ["", "[]", "3", '{"run_until": "x"}', '{"run_until": 1e999}', "{" * 100_000, "\0"]
)
def test_a_control_that_is_none_asks_nothing(tmp_path, nations, control):
    config = Config(epochs=1, warmup_epochs=0, dim=8, sampler="uniform")
    with RunWriter.create(tmp_path, "r", config, nations.name, nations.hash, "nations") as writer:
        (writer.path / "control.json").write_text(control)
        assert drive(writer, Trainer(nations, config), lambda: False) == "finished"


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 50_000,
        "a = " + "[" * 100 + "]" * 100,
        "a" + ".a" * 20_000 + " = 1",
        "[" + ".".join("a" * 1000) + "]\nb = 1",
        "a = " + "{b = " * 5_000,
        "seeds = " + "9" * 5_000,
        "seeds = 1" + "0" * 4_000,
        'title = "' + "x" * 300_000 + '"',
        "x = 1\n" * 50_000,
        "\0",
        "a = 0x" + "f" * 20_000,
        "a = 1e" + "9" * 3_000,
        "seeds = [" + "1," * 60_000 + "]",
    ],
)
def test_a_study_file_beyond_bounds_gets_one_sentence(text):
    with pytest.raises(InputError) as told:
        parse_plan(text, "deep", "deep.toml")
    assert len(str(told.value)) < 300


def test_a_long_quotation_is_cut_in_the_middle():
    assert str(InputError("'" + "x" * 5_000 + "' is not a number")).endswith("x' is not a number")
    assert len(str(InputError("'" + "x" * 5_000 + "' is not a number"))) < 300
    assert len(str(InputError("a b " * 5_000))) < 1_600
    assert str(InputError("short")) == "short"


def test_what_is_read_is_bounded(tmp_path):
    file = tmp_path / "f"
    file.write_bytes(b"12345")
    assert bounded.content(file, 5) == b"12345"
    with pytest.raises(InputError, match=r"f has 1 kB; it can have 1 kB at most"):
        bounded.content(file, 4)
    with pytest.raises(InputError, match="is missing"):
        bounded.content(tmp_path / "g")
