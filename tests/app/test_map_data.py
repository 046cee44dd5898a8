"""What the map draws as tables, what is behind its points, and the page that is saved."""

import dataclasses
import json
import math
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some

from dans_app.map import data as map_data
from dans_app.map import view as map_view
from dans_app.shared import components
from dans_lab.map import plate as map_plate
from dans_lab.map import relation_view
from dans_lab.runs.frames import Frame
from tests import small_run
from tests.conftest import random_graph
from tests.lab.test_map_plate import EPOCHS, frame_of


@pytest.fixture
def frames(nations) -> list[Frame]:
    return [frame_of(nations, epoch) for epoch in EPOCHS]


# --- tables and keys


def test_the_table_says_what_the_view_holds(nations, frames):
    view = relation_view.view_of(frames, nations, 3)
    for at in (0, 2):
        rows = map_data.table(view, at, nations)
        assert len(rows) == 3 * len(view.heads) and list(rows.columns) == map_data._COLUMNS
        for source, part in view.negatives.items():
            own = rows[rows["source"] == source].reset_index(drop=True)
            assert own["head"].tolist() == [nations.entities[i] for i in view.heads]
            assert own["nearest entity"].tolist() == [nations.entities[i] for i in part.nearest[at]]
            np.testing.assert_allclose(own["score"], part.score[at])
            np.testing.assert_allclose(own["against true"], part.score[at] - view.score_true[at])
            np.testing.assert_allclose(own["length"], part.scale[at])
            facts = [("train", "valid", "test", "no")[i] for i in part.known[at]]
            assert own["known fact"].tolist() == facts
    assert set(map_data.table(view, 2, nations)["D_aux"]) == {"G_E, 90 %", "G_R, 90 %", "–"}


def test_selected_points_become_rows_with_their_names(nations, frames):
    view = relation_view.view_of(frames, nations, 3)
    head = int(view.heads[2])
    keys = [f"G_R:{head}", "e:3", f"random:{head}", "e:3", "G_E:9999", "e:9999", "nonsense"]
    rows = map_data.selected(keys, view, frames[1], 1, nations)
    assert rows["source"].tolist()[:2] == ["G_R", "random"] and len(rows) == 3
    assert rows["head"][0] == nations.entities[head]
    assert rows["nearest entity"][0] == nations.entities[view.negatives["G_R"].nearest[1, 2]]
    assert rows["nearest entity"][2] == nations.entities[3]
    assert rows["source"][2] == ("true answer" if 3 in view.answers else "entity")
    view = dataclasses.replace(view, answers=np.array([2]), held_out=np.array([5]))
    kinds = map_data.selected(["e:2", "e:5", "e:6"], view, frames[1], 1, nations)["source"].tolist()
    assert kinds == ["true answer", "answer in valid or test", "entity"]
    assert list(map_data.selected(["e:3"], view, frames[1], 1, nations).columns) == map_data._COLUMNS
    assert map_data.selected([], view, frames[1], 1, nations).empty
    plain = frame_of(nations, 5, gan=False)
    other = relation_view.view_of([plain], nations, 3)
    assert map_data.selected([f"G_R:{head}"], other, plain, 0, nations).empty


looks_right = some.from_regex(r"(e|G_E|G_R|random):[0-9]{1,10}", fullmatch=True)


@given(
    some.lists(some.one_of(looks_right, some.text(), some.integers(), some.none(), some.lists(some.text())))
)
def test_no_key_does_harm(keys):
    kg = random_graph(3)
    frame = frame_of(kg, 1)
    view = relation_view.view_of([frame], kg, 0)
    assert isinstance(map_data.selected(keys, view, frame, 0, kg), pd.DataFrame)
    for key in map_plate.parse(keys):
        map_data.vector(key, view, frame)


def test_the_vector_of_a_key_is_the_entity_or_the_fake(nations, frames):
    view = relation_view.view_of(frames, nations, 3)
    arrays = small_run.arrays(nations, 5)
    head = int(view.heads[1])
    query = arrays["queries"].tolist().index([head, 3])
    for key, expected in {
        ("e", 4): arrays["entities"][4],
        ("G_E", head): arrays["fakes_e"][head],
        ("G_R", head): arrays["fakes_r"][query],
        # A random entity is drawn once a run and stays.
        ("random", head): arrays["entities"][small_run.arrays(nations, 9)["random"][query]],
    }.items():
        np.testing.assert_array_equal(map_data.vector(key, view, frames[1]), expected.astype(np.float32))
    for key in (("e", 10**8), ("G_E", 10**8), ("none", 1)):
        assert map_data.vector(key, view, frames[1]) is None


def test_neighbours_are_the_nearest_by_cosine_in_all_dimensions(nations, frames):
    point = frames[0].fakes_e[2]
    cosines = {
        name: float(e @ point / np.linalg.norm(e) / np.linalg.norm(point))
        for name, e in zip(nations.entities, frames[0].entities, strict=True)
    }
    expected = sorted(cosines.items(), key=lambda pair: -pair[1])[:5]
    found = map_data.neighbours(point, frames[0], nations, count=5)
    assert [name for name, _ in found] == [name for name, _ in expected]
    assert [value for _, value in found] == pytest.approx([value for _, value in expected], abs=1e-6)
    nothing = map_data.neighbours(np.zeros_like(point), frames[0], nations)
    assert len(nothing) == 8 and {value for _, value in nothing} == {0.0}


def test_the_chances_of_neighbours_are_those_of_the_proposal_over_all_entities(nations, frames):
    point = frames[0].fakes_r[3]
    near = map_data.neighbours(point, frames[0], nations, count=nations.num_entities)
    for tau in (0.05, 1.0):
        powers = [math.exp(cosine / tau) for _, cosine in near]
        expected = [power / sum(powers) for power in powers]
        assert map_data.chances(point, frames[0], tau, count=nations.num_entities) == pytest.approx(
            expected, rel=1e-4
        )
    assert map_data.chances(point, frames[0], 0.001, count=3)[0] > 0.5
    assert map_data.chances(np.zeros_like(point), frames[0], 0.1) == pytest.approx(
        [1 / nations.num_entities] * 8
    )


# --- to and from the component


@pytest.mark.parametrize(
    "at",
    [
        None,
        "x",
        [],
        {"run": "other", "epoch": 1, "layers": [], "selection": []},
        {"run": "mine", "epoch": "1", "layers": [], "selection": []},
        {"run": "mine", "epoch": 1.5, "layers": [], "selection": []},
        {"run": "mine", "epoch": 1, "layers": "true", "selection": []},
        {"run": "mine", "epoch": 1, "layers": []},
    ],
)
def test_what_a_browser_says_is_checked_for_its_form(monkeypatch, at):
    monkeypatch.setattr(components.st, "session_state", {"map": {"at": at}})
    assert map_view.state("map", "mine") == {}


def test_what_a_browser_says_of_this_map_is_taken(monkeypatch):
    at = {"run": "mine", "epoch": None, "layers": ["true"], "selection": ["e:1"]}
    monkeypatch.setattr(components.st, "session_state", {"map": {"at": at}})
    assert map_view.state("map", "mine") == {"epoch": None, "layers": ["true"], "selection": ["e:1"]}


class Scripts(HTMLParser):
    """The scripts of a page and all other elements."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.tags and self.tags[-1] == "script" and self.cdata_elem:
            self.scripts[-1] += data


def test_a_saved_page_holds_the_data_whatever_the_names(frames):
    evil = "</script><script>alert(1)</script><!-- <b>&amp;"
    data = map_plate.payload(
        [{"title": evil, "names": [evil]}], "token", epoch=None, layers=["true"], found=[1], selection=["e:1"]
    )
    text = map_view.page(data, evil, "About <i>it</i>.")
    found = Scripts()
    found.feed(text)
    assert len(found.scripts) == 2 and json.loads(found.scripts[0]) == json.loads(json.dumps(data))
    assert not {"b", "i"} & set(found.tags)
    assert "http" not in text.replace("http://www.w3.org", "")
    assert "export default" not in text
