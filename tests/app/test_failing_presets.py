"""Runs that go wrong on purpose, on the Train screen: started by one press or a link, and what to watch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dans_app.server import graph, jobs
from dans_app.shared import settings
from dans_core.config import Config, parse
from dans_core.events import Diagnostics, Losses
from dans_lab.failing import FAILING
from dans_lab.runs.run import Run
from dans_lab.runs.writer import RunWriter
from tests import small_run
from tests.sound_pathway import SOUND

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """Own folders for runs and no recorded run."""
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("DANS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("dans_lab.runs.run.RECORDED", tmp_path / "recorded")
    st.cache_resource.clear()
    st.cache_data.clear()


def stopped(folder: Path, run_id: str, config: Config) -> Run:
    """A run on UMLS that was stopped before its first epoch."""
    kg = graph.load("umls")
    with RunWriter.create(folder, run_id, config, kg.name, kg.hash, "umls") as writer:
        writer.write_status("stopped")
        return writer.run


screen = small_run.app


def form(app: AppTest) -> Config:
    """The settings that the widgets show."""
    return parse({name: app.session_state[settings.key(name)] for name in Config.model_fields})


def notes(app: AppTest) -> str:
    return "\n".join(note.value for note in app.markdown)


@pytest.mark.parametrize("name", FAILING)
def test_one_press_fills_the_form_and_starts(name, tmp_path, monkeypatch):
    begun = []

    def start(self: jobs.Pool, config: Config, source: str) -> Run:
        begun.append((config, source))
        return stopped(tmp_path / "runs", name, config)

    monkeypatch.setattr(jobs.Pool, "start", start)
    app = screen()
    app.menu_button(key="failing_preset").click(name).run()
    assert not app.exception
    assert begun == [(FAILING[name].config, "umls")] and form(app) == FAILING[name].config
    assert f"**{FAILING[name].title}**, on purpose." in notes(app) and "seeds" in notes(app)


@pytest.mark.parametrize(
    ("between_heads", "words"),
    [(0.2, "It ended as promised, at 0.20."), (0.5, "It ended **not as promised**, at 0.50.")],
)
def test_a_finished_run_says_whether_it_kept_its_promise(tmp_path, umls, between_heads, words):
    config = FAILING["film-off"].config
    with RunWriter.create(tmp_path / "runs", "film-off", config, umls.name, umls.hash, "umls") as writer:
        writer.append(Losses(40, 1.0, False, 0.1))
        writer.append(
            Diagnostics(40, 1.0, -1.0, 0.1, 0.05, g_e=SOUND, g_r=replace(SOUND, between_heads=between_heads))
        )
        writer.write_status("finished", epoch=40)
    assert words in notes(screen(run="film-off"))


def test_only_a_run_that_was_made_to_go_wrong_says_so(tmp_path):
    stopped(tmp_path / "runs", "sound", Config(epochs=20))
    assert "on purpose" not in notes(screen(run="sound"))


def test_a_link_fills_the_form(tmp_path):
    app = screen(preset="mode-collapse")
    assert form(app) == FAILING["mode-collapse"].config
    assert "preset" not in app.query_params and app.query_params["set_lr_g"] == "0.05"


def test_a_link_to_no_preset_gets_a_sentence_and_the_defaults(tmp_path):
    app = screen(preset="mode-colapse")
    (problem,) = app.error
    said = problem.value.replace("\\", "")
    assert said.startswith("Preset = 'mode-colapse': must be one of mode-collapse, d-too-strong")
    assert form(app) == Config() and "preset" not in app.query_params
