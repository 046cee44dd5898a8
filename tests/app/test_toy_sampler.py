"""A sampler that a test brings along, registered by one call, is known wherever the samplers of the program are."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dans_app.server import inspecting
from dans_app.server.helper import HelperProcess
from dans_app.shared import other_runs
from dans_core import Config, KnowledgeGraph, Trainer
from dans_core.config import matters
from dans_core.declared import DECLARED, MODULES
from dans_core.events import Losses
from dans_core.samplers.catalogue import REGISTERED
from dans_lab.budget import estimates
from dans_lab.cli import main
from dans_lab.runs.run import Run, open_run
from dans_lab.study.folder import Study
from dans_lab.study.plan import read_plan
from tests import small_run

MODULE, TITLE = "tests.toy_sampler", "Toy neighbours"
ABOUT = "The entities whose numbers follow that of the answer."
NO_FAKES = "The negatives of Toy neighbours are entities, so there are no fakes."

STUDY = """
title = "Toys"
dataset = "nations"
seeds = 1
[settings]
epochs = 4
dim = 8
[grid]
sampler = ["toy", "uniform"]
"""


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    """For these tests alone, since others go through all samplers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MODULES, "")
        importlib.import_module(MODULE)
        yield
        del DECLARED["toy"], REGISTERED["toy"], sys.modules[MODULE]


@pytest.fixture(scope="module")
def folder(registered: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of it."""
    runs = tmp_path_factory.mktemp("runs")
    small_run.trained(runs, "own", "toy")
    return runs


@pytest.fixture(autouse=True)
def alone(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANS_RUNS_DIR", str(folder))
    monkeypatch.setattr("dans_lab.runs.run.RECORDED", tmp_path / "recorded")
    # A process that was there before knows nothing of it.
    monkeypatch.setattr(inspecting, "_PROCESS", HelperProcess("dans_app.server.inspecting"))
    st.cache_resource.clear()
    st.cache_data.clear()


def said(app: AppTest) -> str:
    kinds = ("markdown", "caption", "header", "info")
    return re.sub(r"\\(.)", r"\1", "\n".join(item.value for kind in kinds for item in app.get(kind)))


def command(*arguments: object, folder: Path) -> str:
    """What a command says, in a process of its own."""
    words = [sys.executable, "-m", "dans_core", *map(str, arguments)]
    env = os.environ | {"DANS_RUNS_DIR": str(folder)}
    return subprocess.run(
        words, env=env, cwd=small_run.ROOT, capture_output=True, text=True, check=True
    ).stdout


def test_it_trains(nations: KnowledgeGraph) -> None:
    config = Config(sampler="toy", epochs=5, dim=8, hops=3)
    losses = [event.base for event in Trainer(nations, config) if isinstance(event, Losses)]
    assert losses[-1] < losses[0]
    assert not config.waits and not config.fakes and config.loss == "softmax"


def test_it_says_which_settings_count() -> None:
    assert matters("hops", "toy") and matters("lr", "toy")
    assert not matters("walks", "toy") and not matters("warmup_epochs", "toy")


def test_it_says_what_it_costs(umls: KnowledgeGraph) -> None:
    sizes = estimates.Sizes.of(umls)
    toy, uniform = (estimates.predict(Config(sampler=name, epochs=100), sizes) for name in ("toy", "uniform"))
    assert toy.memory_bytes - uniform.memory_bytes == pytest.approx(135e6)
    # 2 · 5,216 pairs of 20 negatives, a microsecond each, where a table of scores is made.
    assert toy.epoch_seconds - uniform.epoch_seconds == pytest.approx(2 * 5_216 * 20 * 1e-6)


def test_its_negatives_are_inspected_and_why_there_are_no_fakes_is_said(folder, capsys) -> None:
    asked = ["inspect", "own", "--triplet", "brazil", "commonbloc2", "netherlands", "--draws", "3"]
    assert main([*asked, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["source"] for row in rows] == ["positive", *["sampler"] * 3, *["random"] * 3]
    names = KnowledgeGraph.load("nations").entities
    after = [names[(names.index("netherlands") + 1 + 2 * draw) % len(names)] for draw in range(3)]
    assert [row["nearest"] for row in rows[1:4]] == after
    assert main(asked) == 0
    assert NO_FAKES in capsys.readouterr().out


@pytest.mark.study
def test_a_study_of_it_is_planned_trained_elsewhere_and_told(folder, tmp_path) -> None:
    file = tmp_path / "toys.toml"
    file.write_text(STUDY)
    assert {planned.config.sampler for planned in read_plan(str(file)).jobs} == {"toy", "uniform"}
    command("study", file, "--workers", 1, folder=folder)
    study = Study(folder / "studies" / "toys")
    assert [record.state for record in study.records().values()] == ["finished"] * 2
    assert TITLE in command("report", "toys", folder=folder)


def test_the_terminal_lists_it(folder) -> None:
    assert "one-vs-all, toy." in " ".join(command("train", "--help", folder=folder).split())


def test_the_app_says_in_a_sentence_which_module_is_missing(monkeypatch) -> None:
    monkeypatch.setenv(MODULES, f"{MODULE},no_such_module")
    app = AppTest.from_file(str(small_run.ROOT / "app.py"), default_timeout=60).run()
    assert not app.exception
    (error,) = app.error
    assert "DANS_SAMPLERS names 'no_such_module'" in re.sub(r"\\(.)", r"\1", error.value)


def test_train_offers_it_with_its_settings() -> None:
    app = small_run.screen("train.py")
    choice = app.selectbox(key="sampler")
    assert choice.options[-1] == TITLE and f"**{TITLE}**: {ABOUT}" in choice.help
    app = choice.set_value("toy").run()
    assert not app.exception and ABOUT in said(app)
    (hidden,) = (part for part in app.expander if part.label == f"Not used by {TITLE}")
    unused = {item.key for kind in ("number_input", "toggle") for item in hidden.get(kind)}
    assert "set_walks" in unused and not {"set_hops", "set_negatives"} & unused


def test_an_address_may_name_it() -> None:
    app = small_run.screen("train.py", sampler=TITLE, set_hops="3")
    assert app.selectbox(key="sampler").value == "toy" and app.number_input(key="set_hops").value == 3
    assert not app.warning


def test_its_run_is_shown_on_every_screen(folder) -> None:
    shown = said(small_run.screen("train.py", run="own"))
    assert f"Nations · ComplEx · {TITLE}" in shown and f"**{TITLE}.** {ABOUT}" in shown
    diagnosed = said(small_run.screen("diagnostics.py", run="own"))
    assert (
        f"**{TITLE}**: its negatives are" in diagnosed and f"{NO_FAKES} What only fakes can do" in diagnosed
    )
    assert NO_FAKES in said(small_run.screen("map.py", run="own"))
    app = small_run.screen("triplet.py", run="own", head="brazil", relation="embassy", tail="china")
    assert app.dataframe[0].value["source"].tolist()[1:6] == [TITLE] * 5
    assert f"{NO_FAKES} Random ones stand beside them to compare." in said(app)
    assert other_runs.labels(open_run("own"), [])["own"] == TITLE


def test_a_run_of_it_is_read_by_a_process_that_never_met_it(folder) -> None:
    code = f"from dans_lab.runs.run import Run; print(Run({str(folder / 'own')!r}).config.sampler)"
    done = subprocess.run([sys.executable, "-c", code], cwd=small_run.ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "toy"
    assert Run(folder / "own").status.state == "finished"
