"""Studies put together and started in the app: the form, its address, its promises, and the process that runs it."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest
import streamlit as st

from dans_app.server import jobs, studies
from dans_app.shared import cost_words, study_link
from dans_app.studies import data as study_data
from dans_app.studies import words as study_words
from dans_app.train import words as train_words
from dans_core.config import Config
from dans_core.kg import KnowledgeGraph
from dans_data.errors import InputError
from dans_lab.budget.several import forecast, together
from dans_lab.cli import main
from dans_lab.runs import machine
from dans_lab.runs.run import Run, list_runs
from dans_lab.runs.writer import RunWriter
from dans_lab.study import session
from dans_lab.study.conduct import conducting
from dans_lab.study.draft import Draft
from dans_lab.study.folder import Study
from dans_lab.study.plan import parse_plan
from tests import small_run
from tests.study_samples import QUICK, small_plan, write_study
from tests.waiting import wait_for


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch) -> Path:
    """A runs folder with nothing in it, and no studies that come with the program."""
    monkeypatch.setenv("DANS_CACHE_DIR", str(tmp_path / "cache"))
    return small_run.nothing(tmp_path, monkeypatch)


screen = partial(small_run.screen, "studies.py")


def said(app) -> str:
    kinds = ("markdown", "caption", "info", "warning", "error", "header")
    text = "\n".join(item.value for kind in kinds for item in app.get(kind))
    return re.sub(r"\\(.)", r"\1", text).replace("**", "")


def asked(app, name: str) -> str:
    value = app.query_params[name]
    return value[0] if isinstance(value, list) else value


def labels(app) -> list[str]:
    return [button.label for button in app.button]


def trained(run_id: str, config: Config, seconds: float) -> Run:
    """A finished run of this machine, which took so long."""
    kg = KnowledgeGraph.load("nations")
    with RunWriter.create(jobs.runs_dir(), run_id, config, kg.name, kg.hash, "nations") as writer:
        writer.write_status("finished", epoch=config.epochs, seconds=seconds, best_mrr=0.5, best_epoch=1)
        return writer.run


# --- what it promises


def test_train_and_studies_promise_the_same_time(monkeypatch):
    """The sentence about five seeds, the form that its button opens, and the run alone, after runs on this machine."""
    monkeypatch.setattr(jobs, "CORES", 2)
    config = Config(epochs=40, decoder="complex")
    twin = config.with_values(sampler="uniform")
    runs = [trained("a-run", config, 300.0), trained("b-run", twin, 60.0)]
    alone = [jobs.estimate(each, "nations") for each in (config, twin)]
    assert [round(each.seconds) for each in alone] == [300, 60] and alone[0].epoch_seconds > 1
    sentence = train_words.five_seeds(config, twin, "nations", runs)
    assert sentence.endswith(": 10 runs, about 15 minutes on this machine, 2 at a time.")
    train = len(KnowledgeGraph.load("nations").array("train"))
    app = screen(**study_link.query(Draft.of_runs([config, twin], "nations", train)))
    assert sentence.split(": ")[1].rstrip(".") in said(app)
    assert "most likely between 10 minutes and 22 minutes" in said(app)
    plan = parse_plan(app.code[0].value, "a", "a", train)
    told = study_data.cost(plan)
    assert told is not None and cost_words.together(told) in sentence
    assert told.seconds == pytest.approx(5 * sum(each.seconds for each in alone) / 2)


def test_runs_take_no_less_than_the_longest_and_as_many_fit_as_the_memory_holds():
    assert together([4.0, 1.0, 1.0], 2) == 4.0 and together([2.0] * 6, 2) == 6.0 and together([], 2) == 0.0
    known = jobs.experience("nations")
    kinds = [Config(epochs=4), Config(epochs=4, sampler="uniform")]
    every = forecast(kinds, 3, known, 4, None)
    assert (every.runs, every.size, every.basis) == (6, 4, "formulas")
    tight = forecast(kinds, 3, known, 4, every.memory_bytes)
    assert tight.size == 1 and tight.seconds == pytest.approx(
        3 * sum(known.expect(k).need.run_seconds for k in kinds)
    )
    least, most = every.between
    assert least < every.seconds < most
    assert machine.cores() >= 1


# --- the form


def test_the_form_opens_with_what_the_address_says_and_writes_what_is_chosen():
    app = screen(new="1", data="nations", samplers="uniform,kbgan", decoders="rotate", seeds="10-12", amount="7",
                 settings="dropout=0.1,0.2;film=none")  # fmt: skip
    assert app.selectbox[0].value == "nations"
    assert [box.value for box in app.multiselect] == [["uniform", "kbgan"], ["rotate"], ["dropout", "film"]]
    texts = {box.label: box.value for box in app.text_input}
    assert texts["Seeds"] == "10-12" and texts["Epochs"] == "7" and texts["Dropout"] == "0.1,0.2"
    assert "Uniform and KBGAN on Nations: 12 runs, about" in said(app)
    assert "seeds = [10, 11, 12]" in app.code[0].value and "Start the study" in labels(app)
    app.multiselect[1].set_value(["rotate", "complex"]).run()
    assert asked(app, "decoders") == "rotate,complex" and "24 runs" in said(app)
    app.multiselect[2].set_value(["dim"]).run()
    assert asked(app, "settings").startswith("dim=")
    app.text_input(key="studies_new_setting_dim").set_value("8; 16").run()
    assert asked(app, "settings") == "dim=8, 16" and "dim = [8, 16]" in app.code[0].value


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"seeds": "0-99999999"}, "a study from here has at most 1,000."),
        ({"samplers": ""}, "Choose at least one of the samplers."),
        ({"samplers": "<img src=x onerror=alert(1)>"}, "There is no sampler '<img src=x onerror=alert(1)>'."),
        ({"amount": "many"}, "Epochs = 'many': must be a whole number"),
        ({"settings": "dropout=7"}, "Dropout = '7': must be a number"),
        ({"settings": "nonsense=7"}, "The address asks for the setting “nonsense”, which there is not"),
        ({"data": "../../etc"}, "The address asks for data set “../../etc”, which there is not"),
        ({"spend": "money"}, "The address asks for a budget in “money”, which there is not"),
        ({"name": "../up"}, "'../up' cannot name a study"),
    ],
)
def test_a_wrong_field_has_one_sentence(query, sentence):
    app = screen(new="1", **query)
    assert sentence in said(app) and len(app.error) + len(app.warning) == 1
    assert bool(app.error) != ("Start the study" in labels(app))


def test_a_class_is_shown_no_form():
    app = small_run.app(hide="settings")
    app.switch_page("pages/studies.py").run()
    assert "Many runs for one question" in said(app)
    assert "New study" not in said(app) + "".join(labels(app)) and "Start" not in labels(app)


# --- the process


def state_of(root: Path, name: str) -> study_data.Conducted:
    return study_data.conducted(Study(root / "studies" / name))


def test_a_study_of_a_terminal_is_shown_as_such_and_not_started_again(root):
    plan = small_plan()
    write_study(root / "studies", plan, missing=[plan.jobs[-1].run])
    study = Study(root / "studies" / "small")
    assert state_of(root, "small").state == "at rest" and "Resume" in labels(screen())
    # Data of other triplets, so that the study that was written is not the one that could be run.
    (study.path / "study.json").unlink()
    with conducting(plan):
        assert state_of(root, "small") == study_data.Conducted("timing", "terminal")
        assert "A process in a terminal runs it" in study_words.conductor(state_of(root, "small"))
        app = screen()
        assert "A process in a terminal runs it" in said(app) and "Resume" not in labels(app)
        studies.conductors().go_on(study)
        assert not (study.path / studies.LOG).exists(), "nothing was started"
        with pytest.raises(InputError, match="already; give this one another name"):
            studies.conductors().begin(plan)
        app.button(key="studies_pause").click().run()
        assert session.is_to_pause(study) and state_of(root, "small").state == "pausing"
    assert state_of(root, "small").state == "at rest"


def test_why_a_study_ended_is_said(root):
    plan = small_plan()
    write_study(root / "studies", plan, missing=[plan.jobs[-1].run])
    study = Study(root / "studies" / "small")
    (study.path / studies.LOG).write_text("so far so good\nerror: the disk <b>is</b> full\n")
    assert "It ended before its time: the disk <b>is</b> full." in said(screen())
    session.tell(study, session.Session(by="app", stage="training"))
    assert "its process was ended from outside" in said(screen())
    session.tell(study, session.Session(by="app", stage="over"))
    assert "It ended" not in said(screen())


@pytest.mark.study
def test_a_study_runs_without_the_app_pauses_and_goes_on_to_what_the_terminal_reads(root, capsys):
    plan = parse_plan(QUICK.replace("{epochs}", "60"), "quick", "quick")
    app = screen()
    assert "There is no study yet" in said(app)
    study = studies.conductors().begin(plan)
    # Another server knows nothing of the processes of the first one.
    st.cache_resource.clear()
    wait_for(lambda: len(study.finished()) > 0, "the end of a run")
    now = state_of(root, "quick")
    assert (now.state, now.by) == ("training", "app") and now.size >= 1
    app = screen()
    assert "A process of its own runs it" in said(app)
    app.button(key="studies_pause").click().run()
    wait_for(lambda: not session.is_running(study), "the pause")
    assert 0 < len(study.finished()) < 8 and state_of(root, "quick").reason == ""
    app = screen()
    app.button(key="studies_resume").click().run()
    wait_for(lambda: len(study.finished()) == 8, "the end of the study")
    wait_for(lambda: not session.is_running(study), "the end of its process")
    assert {run.id for run in list_runs()} == study.finished() and not app.exception
    assert main(["report", "quick"]) == 0
    assert "written to" in capsys.readouterr().out
