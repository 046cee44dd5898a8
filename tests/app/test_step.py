"""The Step screen without a browser: what it draws, trains ahead, keeps in the URL, and refuses."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
import streamlit as st

from dans_app.server import stepping
from dans_app.step import asked as step_asked
from dans_lab.stepping.relived import KEPT
from tests import small_run
from tests.waiting import wait_for

screen = partial(small_run.screen, "step.py")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a small run, and one without a generator."""
    folder = tmp_path_factory.mktemp("step") / "runs"
    small_run.trained(folder, "small", reading="entities", play_every=1)
    small_run.trained(folder, "plain", sampler="uniform")
    return folder


@pytest.fixture(autouse=True)
def alone(runs, monkeypatch):
    """Own folder for runs, and no recorded run."""
    monkeypatch.setenv("DANS_RUNS_DIR", str(runs))
    monkeypatch.setattr("dans_lab.runs.run.RECORDED", runs / "recorded")
    st.cache_resource.clear()


def data(app) -> dict:
    """What the browser was given to draw."""
    (component,) = app.get("bidi_component")
    return json.loads(component.proto.json)[0]


def ticked(app, rounds: list[int]):
    """The page, run again as its ticks would, until it has these rounds."""

    def has_come() -> bool:
        app.run()
        assert not app.exception
        return sorted(each["number"] for each in data(app)["rounds"]) == rounds

    wait_for(has_come, f"rounds {rounds}")
    return app


def told(app, number: int, stop: int):
    """The browser tells where it is."""
    app.session_state["step"] = {"at": {"token": data(app)["token"], "round": number, "stop": stop}}
    app.run()
    assert not app.exception
    return app


def asked(app, name: str) -> str | None:
    value = app.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def alerts(app) -> list[str]:
    return [each.value for each in (*app.warning, *app.error)]


def test_it_shows_a_round_and_trains_the_next_one_ahead(nations):
    app = ticked(screen(run="small"), [1, 2])
    shown = data(app)
    assert (shown["round"], shown["stop"], shown["total"], shown["perRound"]) == (1, 1, 4, 15)
    first = shown["rounds"][0]
    assert first["epoch"] == small_run.WARM_UP + 1 and len(first["stops"]) == 15
    assert len(first["map"]["entities"]) == nations.num_entities
    assert (
        nations.split_of(*(app.selectbox(key=f"step_{part}").value for part in step_asked.PARTS)) == "train"
    )
    assert not alerts(app)

    # The browser has gone on: one more is trained, and the address follows.
    app = ticked(told(app, 2, 3), [1, 2, 3])
    assert (asked(app, "round"), asked(app, "stop"), asked(app, "run")) == ("2", "3", "small")


def test_the_address_opens_round_stop_and_triplet(nations):
    head, relation, tail = nations.train[50].tolist()
    names = nations.entities[head], nations.relations[relation], nations.entities[tail]
    address = dict(zip(step_asked.PARTS, names, strict=True))
    app = ticked(screen(run="small", round="4", stop="7", **address), [3, 4])
    shown = data(app)
    assert (shown["round"], shown["stop"]) == (4, 7)
    assert tuple(asked(app, part) for part in step_asked.PARTS) == names
    assert {each["head"] for each in shown["rounds"]} == {head}
    assert not alerts(app)


def test_a_head_is_asked_for_as_the_tail_of_the_reciprocal(nations):
    head, relation, tail = nations.train[50].tolist()
    names = nations.entities[head], nations.relations[relation], nations.entities[tail]
    backwards = dict(zip(step_asked.PARTS, (names[2], f"{names[1]}⁻¹", names[0]), strict=True))
    app = ticked(screen(run="small", stop="2", **backwards), [1, 2])
    assert tuple(asked(app, part) for part in step_asked.PARTS) == names and asked(app, "side") == "head"
    shown = data(app)["rounds"][0]
    assert (shown["head"], shown["tail"], shown["answer"]) == (head, tail, head)
    assert shown["stops"][1]["formula"].startswith("s(t, r⁻¹, h) = ‖e_t ⊗ e_r⁻¹‖ · ‖e_h‖")
    tails = ticked(screen(run="small", stop="2", **dict(zip(step_asked.PARTS, names, strict=True))), [1, 2])
    (control,) = tails.button_group
    assert control.value == "tail"
    control.set_value("head").run()
    again = ticked(tails, [1, 2])
    assert asked(again, "side") == "head" and data(again)["rounds"] == data(app)["rounds"]
    assert not alerts(app) and not alerts(again)


def test_a_link_may_name_a_stage():
    app = screen(run="small", stop="D")
    assert data(app)["stop"] == 10 and asked(app, "stop") == "10" and not alerts(app)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ({"round": "5"}, "round “5”; it can be a whole number from 1 to 4"),
        ({"round": "x" * 300}, "it can be a whole number"),
        ({"stop": "16"}, "stop “16”; it can be a whole number from 1 to 15"),
        ({"stop": "-1"}, "stop “\\-1”"),
        ({"head": "Brasil"}, "has no head “Brasil”"),
        ({"relation": "<img src=x>"}, "has no relation"),
        ({"relation": "⁻¹"}, "has no relation"),
        ({"side": "both"}, "side “both”; it can be tail or head"),
        ({"tail": "nowhere"}, "has no tail"),
    ],
)
def test_a_wrong_address_gets_one_sentence(address, sentence):
    app = screen(run="small", **address)
    assert len(alerts(app)) == 1 and sentence in alerts(app)[0]
    assert data(app)["round"] == data(app)["stop"] == 1


def test_a_triplet_that_is_not_trained_on_gets_one_sentence_and_one_that_is(nations):
    head, relation, tail = nations.test[0].tolist()
    names = nations.entities[head], nations.relations[relation], nations.entities[tail]
    app = screen(run="small", **dict(zip(step_asked.PARTS, names, strict=True)))
    assert len(alerts(app)) == 1 and "is no training triplet" in alerts(app)[0]
    assert asked(app, "head") == names[0]


def test_another_head_keeps_the_relation_where_it_can(nations):
    app = screen(run="small")
    facts = nations.array("train")
    relation = app.selectbox(key="step_relation").value
    head = int(facts[facts[:, 1] == relation][0, 0])
    app.selectbox(key="step_head").set_value(head).run()
    assert not app.exception and not alerts(app)
    assert (app.selectbox(key="step_head").value, app.selectbox(key="step_relation").value) == (
        head,
        relation,
    )
    app.button[-1].click().run()
    triplet = [app.selectbox(key=f"step_{part}").value for part in step_asked.PARTS]
    assert not app.exception and (facts == np.array(triplet)).all(1).any()


def test_what_a_browser_sends_is_checked():
    app = screen(run="small")
    token = data(app)["token"]
    for at in (
        None,
        7,
        {"token": "other", "round": 2, "stop": 1},
        {"token": token, "round": 99, "stop": 1},
        {"token": token, "round": "2", "stop": []},
        {"token": token, "round": 1, "stop": 99},
    ):
        app.session_state["step"] = {"at": at}
        app.run()
        assert not app.exception and "round" not in app.query_params


def test_a_run_without_a_generator_gets_one_sentence():
    app = screen(run="plain")
    assert len(alerts(app)) == 1 and "no generator and no discriminator" in alerts(app)[0]
    assert not app.get("bidi_component")


def test_rounds_that_are_no_longer_kept_come_again_the_same(tmp_path, nations):
    epochs = KEPT + 5
    run = small_run.trained(tmp_path / "runs", "long", reading="entities", play_every=1, epochs=epochs, dim=8,
                            eval_every=100, snapshot_every=100, diagnose_every=100)  # fmt: skip
    triplet = tuple(nations.train[0].tolist())
    request = {"path": str(run.path), "settings": run.config.model_dump_json(), "hash": nations.hash}

    def look(number: int) -> dict:
        while True:
            answer = stepping.answer(
                {
                    name: np.asarray(each)
                    for name, each in (request | {"number": number, "triplet": triplet}).items()
                }
            )
            if "measured" in answer:
                return json.loads(str(answer["measured"]))
            epoch, of = answer["way"].tolist()
            assert epoch < of == small_run.WARM_UP + number

    first = look(1)
    look(KEPT + 3)
    assert look(1) == first
