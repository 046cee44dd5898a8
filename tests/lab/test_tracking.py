"""Runs mirrored to real trackers, read back by their own readers; those that are not installed are skipped."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from dans_core import Config, KnowledgeGraph, Trainer
from dans_core.events import Event, Losses, Ranking, Snapshot
from dans_data.errors import InputError
from dans_lab.cli import main
from dans_lab.health import HealthWarning
from dans_lab.runs.run import open_run
from dans_lab.tracking import TRACKERS, Mirror, mirror
from dans_lab.tracking.kinds import KINDS, About, Kind
from dans_lab.tracking.values import numbers

SMALL = ["--dataset", "nations", "--set", "dim=8", "--set", "negatives=4", "--set", "diagnose_every=2"]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    return tmp_path / "runs"


def train(tracker: str, *more: str) -> int:
    return main(["train", *SMALL, "--track", tracker, "--json", *more])


def events(runs: Path) -> list[dict]:
    return [json.loads(line) for line in (runs / "mine" / "events.jsonl").read_text().splitlines()]


def expected(runs: Path, kind: str, field: str) -> list[tuple[int, float]]:
    return [(each["epoch"], each[field]) for each in events(runs) if each["event"] == kind]


def test_an_event_is_its_numbers():
    warned = HealthWarning(3, "collapse", "G_E")
    assert numbers(warned) == {"warning/collapse/G_E": 1.0}
    assert numbers(HealthWarning(4, "unstable", None, active=False)) == {"warning/unstable": 0.0}
    assert numbers(Snapshot(0, "000000.npz")) == {}
    assert numbers(Losses(1, base=0.5, warm_up=True, seconds=2.0)) == {
        "loss/base": 0.5, "loss/warm_up": 1.0, "loss/seconds": 2.0
    }  # fmt: skip
    ranked = numbers(Ranking(2, "valid", 0.5, 0.1, 0.2, 0.3, 0.4, True))
    assert ranked["valid/mrr"] == 0.5 and "valid/split" not in ranked


def test_what_is_missing_or_unknown_is_told_before_anything_is_trained(runs, capsys, monkeypatch):
    assert train("tensorbord") == 2
    assert "did you mean" in capsys.readouterr().err.lower()
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "wandb" else there(name, *a)
    )
    assert train("wandb") == 2
    assert capsys.readouterr().err == (
        "error: --track wandb needs wandb, which is not installed; install it by: pip install wandb\n"
    )
    assert not runs.exists()
    with pytest.raises(InputError, match="must be one of tensorboard, mlflow, wandb, trackio"):
        mirror(["x"], "mine", Config(), runs)
    assert list(KINDS) == list(TRACKERS)


def test_tensorboard(runs):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert train("tensorboard", "--epochs", "4", "--out", "mine") == 0
    assert main(["train", "--resume", "mine", "--epochs", "6", "--track", "tensorboard", "--json"]) == 0
    found = EventAccumulator(str(runs / "mine" / "tensorboard")).Reload()
    for tag, kind, field in (("loss/base", "losses", "base"), ("valid/mrr", "ranking", "mrr")):
        told = [(each.step, each.value) for each in found.Scalars(tag)]
        assert told == [(epoch, pytest.approx(value)) for epoch, value in expected(runs, kind, field)]
    assert {"negatives/g_e/effective_rank", "negatives/random_scores/q50", "run/test_mrr"} <= set(
        found.Tags()["scalars"]
    )
    (settings, *_) = found.Tensors("settings/text_summary")
    text = settings.tensor_proto.string_val[0].decode()
    assert "dim = 8\n" in text and "dataset = nations\n" in text
    assert open_run("mine").status.state == "finished"


def test_mlflow(runs, monkeypatch, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    place = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place)
    assert train("mlflow", "--epochs", "4", "--out", "mine") == 0
    assert main(["train", "--resume", "mine", "--epochs", "6", "--track", "mlflow", "--json"]) == 0
    client = mlflow.MlflowClient(place)
    (run,) = client.search_runs([client.get_experiment_by_name("dans-lab").experiment_id])
    assert run.info.run_name == "mine" and run.info.status == "FINISHED"
    assert run.data.params["dim"] == "8" and run.data.params["dataset"] == "nations"
    told = [(each.step, each.value) for each in client.get_metric_history(run.info.run_id, "valid/mrr")]
    assert told == [(epoch, pytest.approx(value)) for epoch, value in expected(runs, "ranking", "mrr")]
    assert run.data.metrics["run/best_mrr"] == pytest.approx(open_run("mine").status.best_mrr)


def test_wandb(runs, monkeypatch, tmp_path):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    assert train("wandb", "--epochs", "4", "--out", "mine") == 0
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    kept = file.read_bytes()
    assert b"valid/mrr" in kept and b"negatives/g_e/effective_rank" in kept and b"run/test_mrr" in kept


def test_trackio(runs, monkeypatch, tmp_path):
    trackio = pytest.importorskip("trackio")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    assert train("trackio", "--epochs", "4", "--out", "mine") == 0
    (run,) = trackio.Api().runs("dans-lab")
    assert run.name.startswith("mine-")


class Falls(Kind):
    """A tracker whose server goes away in the second epoch."""

    package = "json"
    told: list[int] = []  # noqa: RUF012

    def __init__(self, about: About, epoch: int) -> None:
        assert about.settings["dim"] == 8

    def log(self, values: dict[str, float], epoch: int) -> None:
        if epoch > 1:
            raise ConnectionError("no\nroute")
        self.told.append(epoch)

    def summary(self, values: dict[str, float]) -> None:
        raise AssertionError("it was let go")

    close = summary


def test_a_tracker_that_fails_is_let_go_and_the_run_goes_on(nations: KnowledgeGraph, tmp_path: Path):
    said: list[str] = []
    config = Config(dim=8, epochs=3, sampler="uniform")
    about = About("mine", "key", tmp_path, config.model_dump())
    heard: list[Event] = []
    with Mirror(about, {"falls": Falls}, lambda sentence, trace: said.append(sentence)) as told:
        for event in Trainer(nations, config):
            told.tell(event)
            heard.append(event)
        told.ends("finished", {"best_mrr": 0.5})
    assert said == ["falls is no longer told of this run: no route"]
    assert set(Falls.told) == {1} and heard[-1].epoch == 3
