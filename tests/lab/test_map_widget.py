"""The map of a notebook: the real anywidget around what the app draws, chosen from both sides."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from dans_data.errors import InputError
from dans_lab.map import pictures, relation_view
from dans_lab.map.plate import LAYERS, MISREAD
from dans_lab.map.run_map import RunMap
from dans_lab.map.widget import MapWidget
from dans_lab.prediction import load_run
from dans_lab.runs.run import Run
from tests import small_run


@pytest.fixture(scope="module")
def run(nations, tmp_path_factory) -> Run:
    return small_run.drawn(tmp_path_factory.mktemp("runs"), nations, "nations", "drawn", epochs=(0, 5, 10))


@pytest.fixture
def shown(run, nations) -> MapWidget:
    return MapWidget(run, nations, "embassy")


def relation_of(widget: MapWidget) -> str:
    return widget.data["plates"][0]["view"]["relation"]


def test_it_is_an_anywidget_with_the_script_of_the_app(shown):
    bundle, _ = shown._repr_mimebundle_()
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == shown.model_id
    state = shown.get_state()
    assert state["_model_module"] == "anywidget" and json.loads(json.dumps(state["data"])) == state["data"]
    script = Path(relation_view.__file__).parent / "map_drawing.js"
    drawing = script.read_text().split("export function drawPlate")[1]
    assert drawing.split("\n")[5] in state["_esm"] and "export default { render }" in state["_esm"]
    assert not re.search(r"^import ", state["_esm"], re.MULTILINE)


def test_it_holds_every_snapshot_and_all_relations_in_both_directions(shown, nations):
    (plate,) = shown.data["plates"]
    assert shown.epochs == plate["epochs"] == [0, 5, 10]
    assert plate["names"] == list(nations.entities) and plate["method"] == "PCA"
    assert [source["source"] for source in plate["view"]["sources"]] == ["G_E", "G_R", "random"]
    assert [layer["id"] for layer in shown.data["layerNames"]] == list(LAYERS)
    assert [name for name, _ in shown.relations] == [
        nations.relation_name(number) for number in range(2 * nations.num_relations)
    ]
    assert dict(shown.relations)["embassy⁻¹"] == "embassy⁻¹ (fake heads)"


def test_without_a_relation_it_begins_with_the_busiest(run, nations):
    busiest = nations.relation_name(relation_view.busiest_relation(nations))
    assert relation_of(MapWidget(run, nations)) == busiest


def test_what_is_chosen_on_either_side_is_drawn(shown):
    shown.relation = "treaties⁻¹"
    assert relation_of(shown) == "treaties⁻¹" and shown.shown == ["treaties⁻¹", "pca"]
    # As a browser does it.
    shown.set_state({"relation": "embassy"})
    assert relation_of(shown) == "embassy" and shown.shown == ["embassy", "pca"]
    assert shown.note == MISREAD["pca"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("relation", "embasy", 'nations has no relation "embasy"; did you mean "embassy"'),
        ("projection", "tsne", "projection 'tsne': expected pca or umap"),
        ("colour", "hard", "colour 'hard': expected layer or hardness or"),
    ],
)
def test_what_is_not_there_is_refused_and_changes_nothing(shown, name, value, message):
    before = getattr(shown, name), shown.data
    with pytest.raises(InputError, match=re.escape(message)):
        setattr(shown, name, value)
    assert (getattr(shown, name), shown.data) == before


def test_the_points_that_a_person_selects_are_there_by_name(shown, nations):
    assert shown.selected == []
    shown.set_state({"at": {"selection": ["e:3", "G_R:2", "e:99", "<b>", 7]}})
    assert shown.selected == [("entity", nations.entities[3]), ("G_R", nations.entities[2])]
    shown.set_state({"at": {"selection": "e:3"}})
    assert shown.selected == []


def test_without_a_gan_there_is_no_opinion_to_colour_by(nations, tmp_path):
    plain = MapWidget(small_run.drawn(tmp_path, nations, "nations", "plain", gan=False), nations)
    assert [name for name, _ in plain.colours] == ["layer", "hardness", "epoch"]
    with pytest.raises(InputError, match="expected layer or hardness or epoch"):
        plain.colour = "d_adv"


def test_a_run_without_snapshots_is_told_in_words(nations, tmp_path):
    empty = small_run.drawn(tmp_path, nations, "nations", "empty", epochs=())
    with pytest.raises(InputError, match="empty holds no snapshots, of which a map is made"):
        MapWidget(empty, nations)


def test_the_umap_that_the_app_has_made_is_taken(tmp_path, monkeypatch):
    """One that comes with a recorded run; a new one would be left in the cache."""
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    shown = load_run("umls-complex-dans").map("affects", projection="umap")
    assert shown.data["plates"][0]["method"] == "UMAP" and len(shown.epochs) == 13
    assert not pictures.folders(Run(shown._map.run.path))[0].exists()


def test_a_umap_is_made_once_and_left_for_the_app(run, nations, tmp_path, monkeypatch):
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    first = RunMap(run, nations).payload("embassy", "umap")
    (kept,) = pictures.folders(run)[0].iterdir()
    written = kept.stat().st_mtime_ns
    again = RunMap(run, nations).payload("treaties", "umap")
    assert kept.stat().st_mtime_ns == written and list(kept.parent.iterdir()) == [kept]
    assert first["plates"][0]["method"] == again["plates"][0]["method"] == "UMAP"


def test_where_anywidget_is_missing_a_sentence_says_so(monkeypatch):
    loaded = load_run("umls-complex-dans")
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(InputError, match="needs anywidget, which is not installed"):
        loaded.map()
