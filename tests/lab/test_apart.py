"""Runs are told apart by what was set otherwise than the defaults: in lists, in their ids, and in the terminal."""

from __future__ import annotations

import json

import pytest

from dans_core.config import Config, parse
from dans_lab.apart import as_name, as_words, differing
from dans_lab.budget.recipe import config_for
from dans_lab.cli import main
from dans_lab.failing import EVERY
from dans_lab.runs.run import new_id, run_id_error
from dans_lab.runs.writer import RunWriter

LARGE = 80_000


@pytest.mark.parametrize("sampler", ["dans", "uniform", "nscaching", "kbgan"])
@pytest.mark.parametrize("train", [0, LARGE])
def test_the_defaults_of_a_graph_are_nothing_to_say(sampler: str, train: int) -> None:
    for epochs in ({}, {"epochs": 10}):
        config = config_for(train, {"sampler": sampler, "decoder": "rotate", "seed": 7, **epochs})
        assert differing(config) == epochs


@pytest.mark.parametrize("preset", [name for name in EVERY if name != "default"])
def test_a_preset_is_called_by_its_name(preset: str) -> None:
    assert differing(parse(EVERY[preset])) == {"preset": preset}


def test_what_was_set_is_said_in_words_and_in_the_id() -> None:
    found = differing(Config(lr=0.005, dim=40, sampler="uniform", filter_known=True))
    assert found == {"dim": 40, "lr": 0.005, "filter_known": True}
    assert as_words(found) == ["dim 40", "filter known on", "lr 0.005"]
    assert as_words(found, 2) == ["dim 40", "filter known on", "…"]
    run_id = new_id(Config(sampler="uniform"), "umls", as_name(found))
    assert run_id.startswith("umls-complex-uniform-dim40-filter-known-on-lr0p005-s0-")
    long = new_id(Config(seed=2**31 - 1), "x" * 99, as_name(found) * 9)
    assert run_id_error(long) is None and "-dim40" in long


def test_a_setting_that_does_not_matter_is_not_said() -> None:
    assert differing(Config(sampler="uniform", sigma=0.7)) == {}


def test_the_terminal_lists_what_differs_and_both_rankings(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    with RunWriter.create(tmp_path, "a", Config(lr=0.005), "umls", "0" * 64, "umls") as writer:
        writer.write_status("finished", epoch=300, best_mrr=0.91, best_epoch=200, test_mrr=0.87)
    assert main(["runs"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(" a "))
    assert "lr 0.005" in row and row.index("0.910") < row.index("0.870")
    assert main(["runs", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)[0]
    assert (first["differs"], first["test_mrr"]) == ({"lr": 0.005}, 0.87)
