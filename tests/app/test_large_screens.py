"""Map and Triplet on a graph of WN18RR's size: what they show is a sample and says so, and what travels is small."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dans_app.map import data as map_data
from dans_app.map import together as map_together
from dans_app.server import loading
from dans_app.server.projector import Projector
from dans_app.shared import name_search
from dans_app.triplet import paths as triplet_paths
from dans_core.kg import KnowledgeGraph
from dans_lab.map import pictures, projection, relation_view
from dans_lab.runs.run import Run
from tests import large_run, small_run

ENTITIES, TRIPLETS, RELATIONS = 41_000, 50_000, 200


@pytest.fixture(scope="module")
def graph(tmp_path_factory) -> tuple[KnowledgeGraph, object]:
    folder = tmp_path_factory.mktemp("graph") / "large"
    return large_run.graph(folder, ENTITIES, TRIPLETS, RELATIONS), folder


@pytest.fixture(scope="module")
def root(tmp_path_factory, graph):
    folder = tmp_path_factory.mktemp("runs") / "runs"
    kg, source = graph
    large_run.drawn(folder, kg, source, "large", epochs=(0, 5, 10), dim=100)
    return folder


@pytest.fixture(autouse=True)
def alone(root, tmp_path, monkeypatch):
    """No recorded run, and no UMAP."""
    monkeypatch.setenv("DANS_RUNS_DIR", str(root))
    monkeypatch.setattr("dans_lab.runs.run.RECORDED", tmp_path / "recorded")
    monkeypatch.setattr(Projector, "_compile", lambda self: self._warm.set())


@pytest.fixture(autouse=True, scope="module")
def nothing_kept():
    """From other tests, nor for them; between these the graph stays in memory."""
    yield st.cache_resource.clear(), st.cache_data.clear()
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def run(root) -> Run:
    return Run(root / "large")


map_screen = partial(small_run.screen, "map.py", run="large", projection="pca")
triplet_screen = partial(small_run.screen, "triplet.py", run="large")


def components(app: AppTest) -> list[dict]:
    """What each component was told, with the length of the message in bytes."""
    return [
        json.loads(each.proto.json)[0] | {"bytes": len(each.proto.json)} for each in app.get("bidi_component")
    ]


def the_map(app: AppTest) -> dict:
    return next(each for each in components(app) if "plates" in each)


def fields(app: AppTest) -> dict[str, dict]:
    return {each["label"]: each for each in components(app) if "names" in each}


def words(app: AppTest) -> str:
    return "\n".join(item.value for kind in ("markdown", "caption", "info") for item in app.get(kind))


def test_snapshots_are_small(run):
    assert all(path.stat().st_size < 6_000_000 for _, path in run.snapshots())


def test_the_map_says_what_it_shows_and_sends_the_places_of_a_sample_once(graph):
    kg, _ = graph
    st.cache_resource.clear()
    app = map_screen()
    shown = the_map(app)
    assert shown["bytes"] < 3_000_000
    (plate,) = shown["plates"]
    assert len(plate["ids"]) == 6_000 and plate["n"] < 10_000
    said = words(app)
    assert (
        "6,000 of 41,000 entities" in said and "PCA of the sampled entities and fakes of 3 snapshots" in said
    )
    queries = len(np.unique(kg.queries("train")[:, :2], axis=0))
    assert f"of {queries:,} queries" in said
    for relation in (3, 150, 399):
        app.selectbox(key="map_relation").set_value(relation).run()
        assert not app.exception
        view = the_map(app)["plates"][0]["view"]
        assert view["relation"] == kg.relation_name(relation) and view["heads"], (
            "every relation is represented"
        )
        places = [point for source in view["sources"] for point in source["points"]]
        assert min(places) >= 0, "and all that is kept of it has its place"
        assert [plate["ids"], plate["xy"]] == [the_map(app)["plates"][0][name] for name in ("ids", "xy")]


def test_a_view_of_a_sample_names_what_the_snapshot_says(run, graph):
    kg, _ = graph
    frames = loading.frames(run, [5, 10], kg)
    view = relation_view.view_of(frames, kg, 7)
    queries = frames[0].queries
    own = np.flatnonzero(queries[:, 1] == 7)
    assert view.heads.tolist() == queries[own, 0].tolist() and len(own) > 1
    np.testing.assert_array_equal(view.negatives["G_R"].nearest, [f.nearest_r[own] for f in frames])
    at = [frames[0].heads_e.tolist().index(head) for head in view.heads]
    np.testing.assert_array_equal(view.negatives["G_E"].nearest, [f.nearest_e[at] for f in frames])
    points = np.concatenate(frames[1].groups)
    for name, part in view.negatives.items():
        vectors = {
            "G_E": frames[1].fakes_e[at],
            "G_R": frames[1].fakes_r[own],
            "random": frames[1].entities[frames[1].rows_of(frames[1].random[own])],
        }[name]
        np.testing.assert_array_equal(points[part.rows], vectors)
    table = map_data.table(view, 1, kg)
    drawn = table[table["source"] == "random"]["nearest entity"].tolist()
    assert drawn == [kg.entities[number] for number in frames[1].random[own]]


def test_an_entity_that_is_not_kept_is_found_and_said_to_be_missing(run, graph):
    kg, _ = graph
    frame = loading.frame(run, 10, kg)
    missing = kg.entities[np.setdiff1d(np.arange(kg.num_entities), frame.entity_ids)[0]]
    app = map_screen(find=missing)
    assert the_map(app)["found"] == [] or missing not in {kg.entities[i] for i in the_map(app)["found"]}
    assert "is not in the sample" in words(app) or "are in the sample" in words(app)
    kept = kg.entities[frame.entity_ids[-1]]
    app = map_screen(find=f"/^{kept}$/")
    assert the_map(app)["found"] == [frame.entity_ids[-1]] and "in the sample" not in words(app)
    view = relation_view.view_of([frame], kg, 0)
    number = kg.entity_id(missing)
    assert map_data.vector(("e", number), view, frame) is None
    rows = map_data.selected([f"e:{number}", f"e:{frame.entity_ids[0]}"], view, frame, 0, kg)
    assert np.isnan(rows["D_adv"][0]) and rows["D_adv"][1] == 0.5


def test_all_of_a_sample_is_placed_and_many_snapshots_give_way(run, graph):
    kg, _ = graph
    picture = loading.picture(run, [0, 5, 10], 10, kg, "pca", np.array([1]))
    assert len(picture.series.rows) == loading.frame(run, 10, kg).size > projection.LARGEST
    shown = pictures.shown_epochs(list(range(0, 200, 2)), 10_000, 100, whole=True)
    assert shown[-1] == 198 and 4 <= len(shown) <= pictures.MOST_PLACES // 10_000


def test_maps_of_runs_with_other_samples_stand_in_one_space(run, graph):
    kg, _ = graph
    frame = loading.frame(run, 10, kg)
    both = map_together.together({"A": [frame], "B": [loading.frame(run, 5, kg)]})
    assert both.series["B"].points.shape == (1, frame.size, 2)


def test_triplet_sends_the_browser_a_handful_of_names(graph):
    kg, _ = graph
    app = triplet_screen()
    found = fields(app)
    assert set(found) == {"Head", "Tail"} and all(each["bytes"] < 10_000 for each in found.values())
    head, relation, tail = (np.atleast_1d(app.query_params[name])[0] for name in ("head", "relation", "tail"))
    assert [found["Head"]["value"], found["Tail"]["value"]] == [head, tail]
    assert [tail, "✓ test"] in found["Tail"]["names"]
    number = kg.relation_id(relation)
    asked = {kg.entity_id(name) for name, _ in found["Head"]["names"]}
    facts = np.concatenate([kg.array("test"), kg.array("train")])
    assert asked <= set(facts[facts[:, 1] == number, 0].tolist()) and len(asked) > 1
    assert {word for _, word in found["Head"]["names"]} == {"test", "in snapshots"}
    assert not [box for box in app.selectbox if box.label in ("Head", "Tail")]


def test_what_is_typed_comes_back_as_names(graph):
    app = triplet_screen()
    app.session_state["triplet_head_name"] = {"typed": "City:place_1"}
    app.run()
    names = [name for name, _ in fields(app)["Head"]["names"]]
    assert len(names) == name_search.MOST and fields(app)["Head"]["more"]
    assert all(name.startswith("city:place_1") for name in names)
    app.session_state["triplet_head_name"] = {"typed": {"no": "text"}}
    app.run()
    assert not app.exception and fields(app)["Head"]["typed"] == ""


def test_the_path_of_a_kept_query_names_the_nearest_entities(run, graph):
    kg, _ = graph
    frame = loading.frame(run, 10, kg)
    head, relation = frame.queries[3].tolist()
    found = {each.source: each for each in triplet_paths.moments(frame, kg, head, relation)}
    assert found["G_R"].nearest == frame.nearest_r[3]
    assert found["G_E"].nearest == frame.nearest_e[frame.heads_e.tolist().index(head)]
    assert found["random"].nearest == frame.random[3] and found["positive"].nearest == frame.answers[3]
