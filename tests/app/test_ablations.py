"""Runs of DANS with parts left out, on the screens: what is not there is neither shown nor spoken of."""

from __future__ import annotations

import pytest

from dans_core import Config, Trainer
from dans_lab.presets import PRESETS
from dans_lab.runs.drive import drive
from dans_lab.runs.writer import RunWriter
from tests.small_run import screen

SMALL = {
    "dim": 16, "epochs": 5, "warmup_epochs": 1, "negatives": 9,
    "eval_every": 2, "diagnose_every": 2, "snapshot_every": 3,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory, nations):
    """Runs of some ablations in a folder, as a worker leaves them."""
    root = tmp_path_factory.mktemp("runs")
    for run_id, values in (
        ("faults", PRESETS["released-faults"]),
        ("e-alone", {"pathways": "G_E"}),
        ("no-film", {"film": "none"}),
    ):
        config = Config(**values, **SMALL)
        with RunWriter.create(root, run_id, config, nations.name, nations.hash, "nations") as writer:
            assert drive(writer, Trainer(nations, config), stop=lambda: False) == "finished"
    return root


@pytest.mark.parametrize(
    ("run_id", "names", "colours"),
    [
        ("faults", ["G_R"], ["Layer", "Hardness", "D_adv", "Epoch, with trails"]),
        ("e-alone", ["G_E"], ["Layer", "Hardness", "D_adv", "Epoch, with trails"]),
        ("no-film", ["G_E", "G_R"], ["Layer", "Hardness", "D_adv", "D_aux", "Epoch, with trails"]),
    ],
)
def test_the_screens_show_the_pathways_that_there_are(run_id, names, colours, folder, monkeypatch):
    monkeypatch.setenv("DANS_RUNS_DIR", str(folder))
    app = screen("map.py", run=run_id, projection="pca", colour="d_aux")
    (colour,) = [box for box in app.selectbox if box.label == "Colour by"]
    assert colour.options == colours and colour.value == ("d_aux" if "D_aux" in colours else "layer")
    said = " ".join(part.value for part in app.markdown)
    assert [name for name in ("G_E", "G_R") if f"{name} made" in said] == names
    app = screen("diagnostics.py", run=run_id)
    said = " ".join(part.value for part in app.markdown)
    verb = "makes" if run_id == "faults" else "spreads"
    assert [name for name in ("G_E", "G_R") if f"**{name}** {verb}" in said] == names
    assert ("Without FiLM" in said) == (run_id != "no-film") and "its fakes differ between heads" in said
    assert not screen("train.py", run=run_id).error


@pytest.mark.parametrize("run_id", ["faults", "no-film"])
def test_a_triplet_shows_the_pathways_that_there_are(run_id, folder, monkeypatch, nations):
    monkeypatch.setenv("DANS_RUNS_DIR", str(folder))
    h, r, t = nations.train[0].tolist()
    names = dict(head=nations.entities[h], relation=nations.relation_name(r), tail=nations.entities[t])
    app = screen("triplet.py", run=run_id, **names)
    assert not app.error
    said = " ".join(part.value for part in app.markdown)
    shown = [name for name in ("G_E", "G_R") if f"**{name.replace('_', chr(92) + '_')}**" in said]
    assert shown == (["G_R"] if run_id == "faults" else ["G_E", "G_R"])
