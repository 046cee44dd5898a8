"""The tour without a browser: where its stops lie, what an address may ask, and the negative that it names."""

from __future__ import annotations

import re

import numpy as np
import pytest

from dans_app.shared import tour
from dans_core.kg import KnowledgeGraph
from dans_lab.inspection import Question, Trained, inspect_triplet
from dans_lab.runs.weights import load_weights
from tests import small_run


def test_the_stops_are_five_each_in_at_most_three_sentences() -> None:
    assert len(tour.STOPS) == 5
    for stop in tour.STOPS:
        assert len(re.findall(r"[.?!](?:\W*$| )", stop.says.replace("help?", "help"))) <= 3


@pytest.mark.parametrize("text", ["0", "6", "two", "1.0", "<b>", ""])
def test_what_is_no_stop_gets_one_sentence(text: str) -> None:
    stop, problem = tour.asked(text, "Train")
    assert stop is None
    assert problem is not None and problem.startswith("The tour has the stops 1 to 5; the address asks for")


def test_a_stop_is_on_its_own_screen_alone() -> None:
    assert tour.asked("3", "Map") == (3, None)
    assert tour.asked(None, "Map") == (None, None)
    assert tour.asked("3", "Data") == (None, "Stop 3 of the tour is on the screen Map; begin it on Train.")


def test_a_lesson_waits_while_the_tour_is_on() -> None:
    app = small_run.app(tour="1", lesson="does-it-help", step="2")
    keys = {button.key for button in app.button}
    assert "tour_next" in keys and "lesson_back" not in keys
    app.button(key="tour_leave").click().run()
    keys = {button.key for button in app.button}
    assert "lesson_back" in keys and "tour_next" not in keys


def test_the_negative_that_is_named_first_is_that_of_the_snapshot() -> None:
    recorded = tour.run()
    assert recorded is not None
    kg = KnowledgeGraph.load("umls")
    kept = recorded.load_snapshot(recorded.snapshots()[-1][0])
    head = kg.entity_id(tour.address(4)["head"])
    row = kept["queries"].tolist().index([head, kg.relations.index(tour.address(4)["relation"])])
    fake = kept["fakes_r"][row].astype(float)

    def cosine(entity: np.ndarray) -> float:
        return float(entity @ fake / np.linalg.norm(entity) / np.linalg.norm(fake))

    nearest = max(range(kg.num_entities), key=lambda i: cosine(kept["entities"][i].astype(float)))
    known = kg.split_of(head, kg.relations.index("affects"), nearest) is not None
    said = tour.kept_negative().replace("\\", "")
    assert f"most like **{kg.entities[nearest]}**, {'a' if known else 'no'} known answer." in said


def test_the_negative_that_is_named_is_that_of_the_networks() -> None:
    recorded = tour.run()
    assert recorded is not None
    kg = KnowledgeGraph.load("umls")
    head, relation, tail = (tour.address(4)[name] for name in ("head", "relation", "tail"))
    trained = Trained.of(
        load_weights(recorded.load_checkpoint("best"), kg, recorded.config), kg, recorded.config
    )
    question = Question(kg.entity_id(head), kg.relations.index(relation), kg.entity_id(tail), draws=5, seed=0)
    seen = inspect_triplet(trained, question)
    fake = next(row for row in seen.negatives if row.source == "G_R")
    said = tour.negative().replace("\\", "")
    assert f"most like **{fake.nearest}**" in said
    scores = f"scores it {fake.score:.2f} and the fact {seen.positive.score:.2f}; the chart".replace("-", "−")
    assert scores in said
    assert kg.split_of(question.head, question.relation, question.tail) is not None
