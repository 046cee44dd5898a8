"""The screen Predict without a browser: what it asks a run, what it shows, and what it says of a wrong address."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from dans_app.predict import table
from dans_app.predict.asked import Asked
from dans_app.server import inspecting
from dans_app.server.inspecting import Answers
from dans_app.shared.address import Address
from dans_core import KnowledgeGraph
from dans_lab.prediction import load_run
from dans_lab.runs.run import Run
from tests import small_run

screen = partial(small_run.screen, "predict.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    small_run.trained(root, "small", sampler="uniform")
    return root


@pytest.fixture(autouse=True)
def alone(folder, tmp_path, monkeypatch):
    small_run.only(folder, tmp_path, monkeypatch)


def words(app) -> str:
    kinds = ("markdown", "caption", "header", "warning", "error", "info")
    return "\n".join(item.value for kind in kinds for item in app.get(kind))


def test_the_screen_answers_as_the_run_does(folder):
    run = load_run(folder / "small")
    for asked, given in (
        ({"head": "usa", "relation": "embassy"}, {"ask": "tail"}),
        ({"relation": "embassy", "tail": "usa"}, {"ask": "head"}),
        ({"head": "usa", "tail": "china"}, {"ask": "relation"}),
    ):
        app = screen(run="small", known="yes", **given, **asked)
        assert not app.exception and not app.error
        shown = app.dataframe[0].value
        answers = run.predict(**asked, top=10)
        open_ = given["ask"]
        assert shown[open_].tolist() == [getattr(answer, open_) for answer in answers]
        assert shown["rank"].tolist() == [answer.rank for answer in answers]
        assert shown["known"].tolist() == [answer.known or table.NEW for answer in answers]
        assert np.allclose(shown["score"], [answer.score for answer in answers], atol=1e-5)
        if open_ != "relation":
            wanted = [np.nan if answer.probability is None else answer.probability for answer in answers]
            assert np.allclose(shown["probability"], wanted, equal_nan=True)
            assert shown["probability"].isna().tolist() == [answer.known is not None for answer in answers]
            assert str(run.worth("embassy", open_))[1:40].replace("_", "\\_") in words(app).replace(
                "\\.", "."
            )


def test_known_facts_stand_among_the_answers_only_if_asked_for(folder):
    app = screen(run="small", head="usa", relation="embassy")
    shown = app.dataframe[0].value
    answers = [
        answer for answer in load_run(folder / "small").predict("usa", "embassy") if answer.known is None
    ]
    assert shown["tail"].tolist() == [answer.tail for answer in answers] and "known" not in shown
    app.toggle[0].set_value(True).run()
    assert "yes" in app.query_params["known"] and len(app.dataframe[0].value) > len(answers)


def test_new_facts_are_those_of_the_run(folder):
    app = screen(run="small", ask="new")
    shown = app.dataframe[0].value
    answers = load_run(folder / "small").predict(top=10)
    assert list(zip(shown["head"], shown["relation"], shown["tail"], strict=True)) == [
        (answer.head, answer.relation, answer.tail) for answer in answers
    ]
    assert shown["rank"].tolist() == list(range(1, 11)) and "New facts of any relation" in words(app)
    assert set(screen(run="small", ask="new", relation="embassy").dataframe[0].value) == {
        *("rank", "head", "tail", "probability")
    }


def test_what_a_probability_means_and_how_many_share_it_is_said():
    assert table.in_words(np.array([0.254, 0.252, 0.2])) == (
        "Probability 0.25: of new facts as sure as the first, about 25 in 100 should be true. The first 2 have the "
        "same, so their order among each other says little."
    )
    assert table.in_words(np.array([0.9, 0.2])).endswith("about 90 in 100 should be true.")


def test_fitting_entities_only(folder):
    kg = KnowledgeGraph.load("nations")
    rows = kg.array("train")
    tails = {kg.entities[t] for _, r, t in rows.tolist() if kg.relations[r] == "embassy"}
    app = screen(run="small", head="usa", relation="embassy", known="yes", typed="yes", top="50")
    assert set(app.dataframe[0].value["tail"]) == tails and app.toggle[1].value
    app.toggle[1].set_value(False).run()
    assert "typed" not in app.query_params and len(app.dataframe[0].value) == kg.num_entities


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ({"ask": "verb"}, "ask “verb”; it can be tail or head or relation or new"),
        ({"head": "us", "relation": "embassy"}, "no head “us”"),
        ({"top": "1e9"}, "top “1e9”"),
        ({"typed": "maybe"}, "typed “maybe”"),
        ({"known": "maybe"}, "known “maybe”"),
        ({"ask": "new", "relation": "<b>"}, "no relation"),
        ({"ask": "relation", "tail": "$x$" * 99}, "no tail"),
    ],
)
def test_a_wrong_address_gets_one_sentence(address, said):
    app = screen(run="small", **address)
    assert not app.exception
    (warning,) = (each.value for each in app.warning if "link_off" in each.icon)
    assert said in warning.replace("\\", "") and app.dataframe


def test_a_run_that_tells_nothing_apart_or_is_below_the_floor_is_named_beside_its_answers(folder):
    for address in ({}, {"ask": "new"}, {"ask": "relation"}):
        said = [each.value.replace("\\", "") for each in screen(run="small", **address).warning]
        wrong = load_run("small").warnings()
        assert wrong and said == [f"{each[:1].upper()}{each[1:]}." for each in wrong]


def test_new_facts_have_a_worth(folder):
    app = screen(run="small", ask="new", relation="embassy")
    worth = load_run("small").worth_of_new_facts("embassy")
    assert worth[1:] in words(app).replace("\\", "") and "its first answer was right in" in worth


def test_a_run_without_weights_is_told(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(inspecting, "checkpoints", lambda run: [])
    assert "kept no weights yet" in words(screen(run="small"))


def test_what_speaks_for_an_answer_is_counted_slowly(folder):
    kg = Run(folder / "small").load_kg()
    entities = np.random.default_rng(0).normal(size=(kg.num_entities, 4)).astype(np.float32)
    train = kg.array("train").tolist()
    for triplet in kg.array("test")[:5].tolist():
        head, relation, tail = triplet
        joined, heads, tails = table.reasons(kg, (head, relation, tail), entities)
        facts = [f for f in train if {(f[0], f[2])} & {(head, tail), (tail, head)}]
        assert ("No fact" in joined) == (not facts)
        for said, others, mine in (
            (heads, [h for h, r, t in train if (r, t) == (relation, tail) and h != head], head),
            (tails, [t for h, r, t in train if (h, r) == (head, relation) and t != tail], tail),
        ):
            if not others:
                assert "no other answer" in said
                continue
            unit = entities / np.linalg.norm(entities, axis=1, keepdims=True)
            best = max(others, key=lambda e: float(unit[e] @ unit[mine]))
            assert f"with {len(others)} other" in said
            assert f"by cosine: **{kg.entities[best]}** ({float(unit[best] @ unit[mine]):.2f})" in said


def test_new_facts_have_scores_where_nothing_makes_probabilities_of_them(folder):
    run = Run(folder / "small")
    kg, nothing = run.load_kg(), np.full(2, np.nan)
    asked = Asked(run, kg, Address("predict", kg.hash), "new", 0, None, 0, 10, False, False, "best")
    triplets = np.array([[0, 0, 1], [1, 0, 2]])
    bare = table.table(asked, Answers(triplets, np.array([2.5, 1.5]), nothing, nothing), [None, None])
    assert bare["score"].tolist() == [2.5, 1.5] and "probability" not in bare
    sure = table.table(
        asked, Answers(triplets, np.array([2.5, 1.5]), nothing, np.array([0.9, 0.4])), [None, None]
    )
    assert sure["probability"].tolist() == [0.9, 0.4] and "score" not in sure
