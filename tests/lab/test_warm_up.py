"""Weights of the warm-up are known as such, and every place where they speak says so."""

from __future__ import annotations

import json

import pytest

from dans_core import Config
from dans_lab import warm_up
from dans_lab.cli import main
from dans_lab.runs.run import Run
from tests import small_run


@pytest.mark.parametrize(
    ("sampler", "epoch", "unmet"),
    [("dans", 48, True), ("dans", 50, True), ("dans", 51, False), ("dans", None, False), ("kbgan", 50, True),
     ("uniform", 48, False)],
)  # fmt: skip
def test_weights_of_the_warm_up_have_not_met_the_sampler(sampler, epoch, unmet):
    config = Config(sampler=sampler, epochs=100, warmup_epochs=50)
    assert warm_up.unmet(config, epoch) == unmet
    assert bool(warm_up.told(config, epoch)) == unmet


def test_it_is_said_who_was_not_met():
    settings = {"epochs": 1200, "warmup_epochs": 1100}
    text = warm_up.told(Config(sampler="dans", **settings), 1048)
    assert text.startswith("Epoch 1,048 lies in the warm-up, which lasts to epoch 1,100")
    assert "have not met the GAN yet" in text
    other = Config(sampler="kbgan", **settings)
    assert f"have not met {other.declaration.title} yet" in warm_up.told(other, 1048)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Six epochs, ranked after each third, of which five are warm-up: its best is epoch 3."""
    return small_run.trained(tmp_path_factory.mktemp("runs"), "early", warmup_epochs=5, lr=0.1)


def test_the_best_weights_are_told_from_the_last(run: Run):
    assert run.status.best_epoch == 3, "which this test is about"
    assert warm_up.unmet_of(run, "best") and not warm_up.unmet_of(run, "last")
    assert warm_up.told_of(run, "best") and not warm_up.told_of(run, "last")
    assert warm_up.withheld("A", run, "best") == (
        "the best epoch of A lies in the warm-up: these weights have not met the GAN yet; compare the last epochs or "
        "train longer"
    )
    assert warm_up.withheld("A", run, "last") == ""


def test_the_terminal_says_so_of_the_best_weights_alone(run: Run, capsys: pytest.CaptureFixture[str]):
    folder, said = str(run.path), warm_up.told_of(run, "best")
    asked = {
        "evaluate": ["evaluate", folder],
        "predict": ["predict", folder, "--head", "usa", "--relation", "embassy"],
        "inspect": ["inspect", folder, "--triplet", "brazil", "commonbloc2", "netherlands"],
    }
    for command, words in asked.items():
        for which in ("best", "last"):
            assert main([*words, "--checkpoint", which]) == 0
            assert (said in capsys.readouterr().out) == (which == "best"), command
            assert main([*words, "--checkpoint", which, "--json"]) == 0
            assert json.loads(capsys.readouterr().out)["warm_up"] == (which == "best"), command


def test_the_end_of_training_says_so(tmp_path, capsys: pytest.CaptureFixture[str]):
    words = ["train", "--dataset", "nations", "--preset", "fakes-as-negatives", "--epochs", "6"]
    for setting in ("warmup_epochs=5", "lr=0.1", "dim=16", "negatives=8", "eval_every=3"):
        words += ["--set", setting]
    for json_too, name in (([], "lines"), (["--json"], "json")):
        assert main([*words, "--out", str(tmp_path / name), *json_too]) == 0
        out, early = capsys.readouterr().out, warm_up.told_of(Run(tmp_path / name), "best")
        if json_too:
            assert json.loads(out.splitlines()[-1])["best_in_warm_up"] is True
        else:
            assert early and early in out
