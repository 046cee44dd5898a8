"""The Map screen without a browser: what it draws, says and keeps in the URL, and what it leaves undone."""

import base64
import json
import re
import shutil
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dans_app.map import data as map_data
from dans_app.map import view as map_view
from dans_app.server import fitting, loading
from dans_app.server.projector import Projector
from dans_core.kg import KnowledgeGraph
from dans_data.words import share
from dans_lab.map import pictures, relation_view
from dans_lab.map import plate as map_plate
from dans_lab.map.projection import Axes, Projection
from dans_lab.runs.run import Run
from dans_lab.runs.writer import RunWriter
from tests import small_run
from tests.waiting import PATIENCE, wait_for


def quick(method, epochs, rows, points, start):
    """In place of a fit, so that UMAP is never imported: PCA at another size."""
    each = len(epochs)
    return Projection(method, tuple(epochs), rows, 2 * start, np.full(each, 0.95), np.full(each, np.nan))


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """Own folder for runs, no recorded run, and a UMAP that is quick."""
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr("dans_lab.runs.run.RECORDED", tmp_path / "recorded")
    monkeypatch.setattr(Projector, "_compile", lambda self: self._warm.set())
    monkeypatch.setattr(fitting, "fit_in_helper", quick)
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def run(tmp_path, nations) -> Run:
    return small_run.drawn(tmp_path / "runs", nations, "nations", "one")


screen = partial(small_run.screen, "map.py")


def data(app: AppTest) -> dict:
    """What the map was told to draw."""
    (component,) = app.get("bidi_component")
    return json.loads(component.proto.json)[0]


def plate(app: AppTest) -> dict:
    return data(app)["plates"][0]


def told(app: AppTest, **at) -> AppTest:
    """The browser tells what the person did on the map, and the page runs again."""
    shown = data(app)
    before = {"epoch": shown["epoch"], "layers": shown["layers"], "selection": shown["selection"]}
    app.session_state["map"] = {"at": {"run": shown["token"], **before, **at}}
    app.run()
    assert not app.exception
    return app


def asked(app: AppTest, name: str) -> str | None:
    value = app.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def words(app: AppTest) -> str:
    return "\n".join(item.value for kind in ("markdown", "caption", "info") for item in app.get(kind))


def done() -> None:
    """Wait until no picture is being made."""
    worker = loading.projector()
    with worker._changed:
        assert worker._changed.wait_for(lambda: not worker._waiting and worker._working is None, PATIENCE)


def counted(monkeypatch, owner, name: str) -> list:
    """The arguments of every call of a function from now on; it works as before."""
    calls, real = [], getattr(owner, name)

    def counting(*arguments, **named):
        calls.append(arguments)
        return real(*arguments, **named)

    monkeypatch.setattr(owner, name, counting)
    return calls


# --- pictures, one after another


def test_the_first_visit_shows_pca_then_the_epoch_alone_then_all_together(run, monkeypatch):
    gates = {1: threading.Event(), 2: threading.Event()}

    def slow(method, epochs, *parts):
        assert gates[len(epochs)].wait(PATIENCE)
        return quick(method, epochs, *parts)

    monkeypatch.setattr(fitting, "fit_in_helper", slow)
    app = screen(run=run.id)
    assert "PCA for the moment; UMAP is being computed" in words(app)
    first = plate(app)
    assert (first["method"], first["epochs"], first["single"]) == ("PCA", [0, 5], None)
    assert data(app)["epoch"] is None and "epoch" not in app.query_params
    assert tuple(data(app)["layers"]) == map_plate.DEFAULT_LAYERS

    gates[1].set()
    wait_for(lambda: plate(app.run())["single"], "the picture of the epoch alone")
    assert "UMAP of epoch 5 alone for the moment; all snapshots together are being computed" in words(app)
    assert (plate(app)["method"], plate(app)["single"]["epoch"]) == ("PCA", 5)
    gates[2].set()
    wait_for(lambda: plate(app.run())["method"] == "UMAP", "the picture of all snapshots")
    assert plate(app)["single"] is None and plate(app)["epochs"] == [0, 5]
    assert "UMAP of all entities and fakes of 2 snapshots together" in words(app)
    assert next(metric for metric in app.metric if metric.label == "Trustworthiness").value == "0.95"
    assert app.session_state["map_waiting"] == ()


def test_a_kept_picture_is_not_computed_again(run, monkeypatch):
    screen(run=run.id)
    done()
    st.cache_resource.clear()
    monkeypatch.setattr(fitting, "fit_in_helper", lambda *_: pytest.fail("computed again"))
    app = screen(run=run.id)
    assert plate(app)["method"] == "UMAP"
    for relation in (3, 8):
        app.selectbox(key="map_relation").set_value(relation).run()
        assert plate(app)["method"] == "UMAP" and not app.session_state["map_waiting"]


def test_a_fit_that_fails_leaves_pca_and_says_why(run, monkeypatch):
    def broken(*_):
        raise RuntimeError("no [numba](x) here")

    monkeypatch.setattr(fitting, "fit_in_helper", broken)
    for method, name in (("umap", "UMAP"), ("tsne", "t-SNE")):
        app = screen(run=run.id, projection=method)
        done()
        app.run()
        assert f"{name} failed: no \\[numba\\]\\(x\\) here" in words(app)
        assert plate(app)["method"] == "PCA" and not app.session_state["map_waiting"]


def test_tsne_is_fitted_to_the_chosen_epoch_alone(run, monkeypatch):
    calls = counted(monkeypatch, fitting, "fit_in_helper")
    app = screen(run=run.id, projection="tsne", epoch="0")
    done()
    app.run()
    assert [(method, tuple(epochs)) for method, epochs, *_ in calls] == [("tsne", (0,))]
    assert (plate(app)["method"], plate(app)["single"]["method"]) == ("PCA", "t-SNE")
    assert plate(app)["single"]["epoch"] == 0
    assert "t-SNE places each epoch by itself" in words(app)
    told(app, epoch=5)
    done()
    assert plate(app.run())["single"]["epoch"] == 5


def test_a_graph_of_a_few_points_is_shown_by_pca(tmp_path, monkeypatch):
    folder = tmp_path / "few"
    folder.mkdir()
    for split in ("train", "valid", "test"):
        (folder / f"{split}.txt").write_text("a\tr\tb\nb\tr\tc\n" if split == "train" else "a\tr\tc\n")
    calls = counted(monkeypatch, fitting, "fit_in_helper")
    few = small_run.drawn(tmp_path / "runs", KnowledgeGraph.load(folder), str(folder), "few")
    app = screen(run=few.id)
    assert plate(app)["method"] == "PCA" and not calls and not app.session_state["map_waiting"]


def test_places_stay_when_the_relation_changes(run, nations):
    app = screen(run=run.id, projection="pca", relation="embassy")
    before = plate(app)
    app.selectbox(key="map_relation").set_value(nations.relation_id("treaties⁻¹")).run()
    assert asked(app, "relation") == "treaties⁻¹"
    after = plate(app)
    assert after["view"]["relation"] == "treaties⁻¹" and after["view"]["token"] != before["view"]["token"]
    assert [after[name] for name in ("xy", "d", "extent")] == [before[name] for name in ("xy", "d", "extent")]


def test_the_picture_of_a_snapshot_written_anew_is_made_anew(run, nations):
    before = plate(screen(run=run.id, projection="pca"))
    np.savez(run.path / "snapshots" / "000005.npz", **small_run.arrays(nations, 7))
    after = plate(screen(run=run.id, projection="pca"))
    assert after["xy"] != before["xy"] and after["view"]["token"] != before["view"]["token"]


# --- what the person does on the map


def test_what_is_done_on_the_map_stands_in_the_url(run):
    app = told(screen(run=run.id), epoch=0, layers=["G_R", "true"], selection=["G_R:3", "e:1"])
    assert [asked(app, name) for name in ("epoch", "layers", "selection")] == ["0", "true,G_R", "G_R:3,e:1"]
    assert "What you selected** · 2 points, epoch 0" in words(app)
    told(app, epoch=None, layers=[], selection=[])
    assert [asked(app, name) for name in ("epoch", "layers", "selection")] == [None, "none", None]
    assert "What you selected" not in words(app)


def test_a_link_opens_the_same_view(run):
    link = {
        "relation": "treaties", "epoch": "0", "layers": "G_E", "colour": "hardness", "field": "on",
        "selection": "G_E:2,e:4", "find": "us", "projection": "pca",
    }  # fmt: skip
    app = screen(run=run.id, **link)
    shown = data(app)
    assert (shown["epoch"], shown["layers"], shown["colour"]) == (0, ["G_E"], "hardness")
    assert shown["field"] is True and shown["selection"] == ["G_E:2", "e:4"]
    names = plate(app)["names"]
    assert {names[i] for i in shown["found"]} == {"usa", "ussr"}
    assert not app.warning and {name: asked(app, name) for name in link} == link


def test_a_bookmark_that_is_opened_begins_the_map_anew(run):
    app = told(screen(run=run.id, projection="pca"), epoch=0, layers=["true"])
    before = data(app)
    assert data(app.run())["token"] == before["token"]
    # What the list of bookmarks does: the session forgets, and the address alone counts.
    for key in ("address_map_", "address_map_epoch"):
        del app.session_state[key]
    app.query_params["layers"] = "G_E"
    del app.query_params["epoch"]
    app.run()
    assert data(app)["token"] != before["token"]
    assert (data(app)["epoch"], data(app)["layers"]) == (None, ["G_E"])


def test_the_selection_in_the_url_has_an_end(run):
    app = told(screen(run=run.id, projection="pca"), selection=[f"e:{i}" for i in range(2_000)])
    assert len(asked(app, "selection")) < 500


@pytest.mark.parametrize(
    "at",
    [
        {"epoch": 10**9},
        {"epoch": -1},
        {"epoch": True},
        {"layers": ["true", "<script>", 7, None, {}]},
        {"selection": ["e:999999999", "<b>", None, 3, {}, [], "e:-1"]},
        {"selection": [["e:1"]] * 5000},
    ],
)
def test_whatever_a_browser_tells_the_page_stands(run, at):
    app = told(screen(run=run.id, projection="pca"), **at)
    assert plate(app) and len(app.warning) <= 1 and not app.error
    app.selectbox(key="map_relation").set_value(1).run()
    assert not app.exception


def test_a_selected_point_has_its_row_its_neighbours_and_a_way_to_its_triplet(run, nations):
    app = told(screen(run=run.id, projection="pca", relation="embassy"), selection=["G_R:2"])
    frame = loading.frame(run, 5, nations)
    view = loading.view(run, [0, 5], nations, nations.relation_id("embassy"))
    near = map_data.neighbours(map_data.vector(("G_R", 2), view, frame), frame, nations)
    assert f"1. {near[0][0]} · {near[0][1]:.2f}" in words(app)
    table = app.dataframe[0].value
    assert table["source"].tolist() == ["G_R"] and table["head"].tolist() == [nations.entities[2]]
    (link,) = app.get("page_link")
    assert f"head={nations.entities[2]}&relation=embassy" in link.proto.query_string


def test_a_selected_fake_that_is_a_proposal_says_what_it_proposes(tmp_path, nations, monkeypatch):
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "proposing"))
    proposing = small_run.trained(tmp_path / "proposing", "proposing", reading="entities")
    app = told(screen(run=proposing.id, projection="pca", relation="embassy"), selection=["G_R:2"])
    frame, view = (
        loading.frame(proposing, 6, nations),
        loading.view(proposing, [0, 3, 6], nations, nations.relation_id("embassy")),
    )
    point = map_data.vector(("G_R", 2), view, frame)
    (name, cosine), q = map_data.neighbours(point, frame, nations)[0], map_data.chances(point, frame, 0.1)[0]
    assert proposing.config.tau == 0.1
    said = words(app).replace("\N{NO-BREAK SPACE}", " ")
    assert f"1. {name} · {cosine:.2f} · {share(q, 1)}" in said and "is read as a proposal" in words(app)
    assert "is read as a proposal" not in words(told(app, selection=["e:2"]))


def test_the_picture_of_an_entity_is_ringed_by_a_part_of_its_name_or_a_regular_expression(run):
    app = screen(run=run.id, projection="pca")
    for text, found in (("BRAZ", {"brazil"}), ("/^(us|uk)/", {"usa", "ussr", "uk"}), ("", set())):
        app.text_input(key="map_find").set_value(text).run()
        assert {plate(app)["names"][i] for i in data(app)["found"]} == found
        assert not app.warning and (asked(app, "find") or "") == text


# --- hostile and wrong addresses


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"relation": "embasy"}, "has no relation “embasy”; did you mean"),
        ({"relation": "<script>alert(1)</script>"}, "has no relation"),
        ({"relation": "x" * 5000}, "has no relation"),
        ({"epoch": "4"}, "no snapshot of epoch “4”"),
        ({"epoch": str(10**9)}, "no snapshot of epoch"),
        ({"epoch": "-1"}, "no snapshot of epoch"),
        ({"epoch": "²"}, "no snapshot of epoch"),
        ({"projection": "t-sne"}, "umap or tsne or pca"),
        ({"layers": "true,[x](javascript:1)"}, "There is no layer"),
        ({"colour": "pink"}, "it can be layer or hardness"),
        ({"field": "maybe"}, "off or on"),
        ({"find": "atlantis"}, "matches “atlantis”"),
        ({"find": "/(/"}, "is not a regular expression"),
        ({"find": r"/(a)\1/"}, "is not a regular expression"),
        ({"find": "x" * 5000}, "at most 100 characters"),
        ({"find": "<script>alert(1)</script>"}, "No entity"),
    ],
)
def test_an_address_with_a_wrong_part_gets_one_sentence_and_the_rest_is_shown(run, query, said):
    app = screen(run=run.id, **{"projection": "pca", **query})
    assert len(app.warning) == 1
    text = re.sub(r"\\(.)", r"\1", app.warning[0].value)
    assert said in text and len(text) < 400
    assert not re.search(r"(?<!\\)[<\[]", app.warning[0].value)
    assert plate(app)
    # A search that finds nothing is still in its field, and goes when that does.
    if "find" in query:
        app.text_input(key="map_find").set_value("").run()
    else:
        app.selectbox(key="map_relation").set_value(1).run()
    assert not app.warning


def test_a_regular_expression_made_to_hang_does_not(run):
    """Elsewhere such a pattern takes time that doubles with each letter of a name; here the search ends at all."""
    app = screen(run=run.id, projection="pca", find="/(a*)*(a*)*(a*)*(a*)*b$/")
    assert plate(app) and len(app.warning) <= 1


@pytest.mark.parametrize("selection", ["e:10**9", "<script>", "e:1," * 3000, ",,,", "G_E:999999999"])
def test_a_selection_that_is_none_selects_nothing_and_says_nothing(run, selection):
    app = screen(run=run.id, projection="pca", selection=selection)
    assert not app.warning and set(data(app)["selection"]) <= {"e:1", "G_E:999999999"}


def test_names_from_a_file_are_plain_everywhere(tmp_path):
    evil = '<b onclick="x">&amp;%{x}</b>'
    folder = tmp_path / "evil"
    folder.mkdir()
    names = [evil, "<img src=x onerror=alert(1)>", "[a](javascript:b)", "$x$", "plain"]
    lines = [f"{a}\t<i>rel</i>\t{b}" for a in names for b in names[:2]]
    for split in ("train", "valid", "test"):
        (folder / f"{split}.txt").write_text("\n".join(lines if split == "train" else lines[:1]))
    run = small_run.drawn(tmp_path / "runs", KnowledgeGraph.load(folder), str(folder), "evil")
    app = screen(
        run=run.id, find="<", selection=",".join(f"e:{i}" for i in range(5)) + ",G_E:1", projection="pca"
    )
    assert evil in plate(app)["names"] and len(data(app)["found"]) == 2
    for item in (*app.markdown, *app.caption, *app.warning):
        assert not re.search(r"(?<!\\)(\[a\]|<img|<i>|<b )", item.value)
    labels = [link.proto.label for link in app.get("page_link")]
    assert labels and not any(re.search(r"(?<!\\)(\[a\]|<img|<b )", label) for label in labels)


# --- runs of every kind


def test_a_run_without_a_gan_says_so_and_shows_its_entities(tmp_path, nations):
    run = small_run.drawn(tmp_path / "runs", nations, "nations", "plain", gan=False)
    app = screen(run=run.id, projection="pca")
    assert "random negatives only" in words(app) and not app.warning
    assert [source["source"] for source in plate(app)["view"]["sources"]] == ["random"]
    assert set(base64.b64decode(plate(app)["d"])) == {255}
    assert not [toggle for toggle in app.toggle if toggle.key == "map_field"]
    assert "D_adv" not in app.selectbox(key="map_colour").options


def test_what_only_a_discriminator_can_tell_waits_in_the_address_for_a_run_that_has_one(tmp_path, nations):
    small_run.drawn(tmp_path / "runs", nations, "nations", "plain", gan=False)
    small_run.drawn(tmp_path / "runs", nations, "nations", "gan")
    for colour in ("d_adv", "d_aux"):
        app = screen(run="plain", projection="pca", colour=colour, field="on")
        assert (data(app)["colour"], data(app)["field"]) == ("layer", False) and not app.warning
        assert app.selectbox(key="map_colour").value == "layer"
        picker = next(box for box in app.selectbox if box.label == "Run")
        picker.set_value("gan").run()
        assert (data(app)["colour"], data(app)["field"]) == (colour, True)


def test_of_queries_that_were_not_kept_the_page_says_so(tmp_path, nations):
    run = small_run.drawn(tmp_path / "runs", nations, "nations", "part", epochs=())
    arrays = small_run.arrays(nations, 5)
    relation = nations.relation_id("embassy")
    own = arrays["queries"][:, 1] == relation
    which = np.sort(
        np.concatenate([np.flatnonzero(own)[[0, 3]], np.flatnonzero(arrays["queries"][:, 1] == 2)])
    )
    by_query = ("queries", "answers", "random", "score_", "fakes_r", "d_fakes_r", "aux_fakes_r")
    kept = {name: array[which] if name.startswith(by_query) else array for name, array in arrays.items()}
    with RunWriter.reopen(run.path) as writer:
        writer.snapshot("000005.npz", kept)
        writer.append(small_run.Snapshot(5, "000005.npz"))
    app = screen(run=run.id, projection="pca", relation="embassy")
    assert f"kept 2 of the relation’s {own.sum()} queries" in words(app)
    assert "G_E made 2 fake tails for 2 heads" in words(app)
    app.selectbox(key="map_relation").set_value(nations.relation_id("treaties")).run()
    assert "kept no query of this relation" in words(app) and len(plate(app)["view"]["heads"]) == 0


def test_fakes_of_the_warm_up_are_called_what_they_are(run):
    assert "the GAN has learned nothing yet" in words(screen(run=run.id, epoch="0"))
    assert "the GAN has learned nothing yet" not in words(screen(run=run.id))


def test_a_run_without_snapshots_and_no_run_at_all_are_friendly(tmp_path, nations):
    assert "There is no run yet" in words(screen())
    run = small_run.drawn(tmp_path / "runs", nations, "nations", "bare", epochs=())
    assert "ended before its first snapshot" in words(screen(run=run.id))
    stored = json.loads((run.path / "config.json").read_text())
    (run.path / "config.json").write_text(json.dumps(stored | {"processes": "2 shards"}))
    assert "is in shards, of which no snapshots are taken" in words(screen(run=run.id))


@pytest.mark.parametrize("name", ["000000.npz", "000005.npz"])
@pytest.mark.parametrize("damage", ["broken", "other"])
def test_a_damaged_snapshot_is_one_sentence(run, umls, name, damage):
    file = run.path / "snapshots" / name
    if damage == "broken":
        file.write_bytes(b"broken")
    else:
        np.savez(file, **small_run.arrays(umls, 5))
    app = screen(run=run.id)
    assert len(app.error) == 1 and "cannot be drawn" in app.error[0].value
    assert app.selectbox and not app.get("bidi_component")


def test_a_run_whose_data_set_is_gone_is_one_sentence(tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(Path(small_run.ROOT) / "assets" / "kg" / "nations", folder)
    run = small_run.drawn(tmp_path / "runs", KnowledgeGraph.load(folder), str(folder), "moved")
    shutil.rmtree(folder)
    app = screen(run=run.id)
    assert len(app.error) == 1 and "cannot be drawn" in app.error[0].value


def test_many_snapshots_are_thinned_the_ends_stay_and_few_give_way_at_once():
    assert pictures.shown_epochs([3, 7], 100, 10) == [3, 7] and pictures.shown_epochs([3], 100, 10) == [3]
    many = list(range(0, 1000, 5))
    before: list[int] = []
    changes = 0
    for count in range(1, len(many) + 1):
        shown = pictures.shown_epochs(many[:count], 100, 10)
        assert set(shown) <= set(many) and shown == sorted(set(shown))
        assert (shown[0], shown[-1]) == (0, many[count - 1])
        assert min(count, pictures.MOST_SNAPSHOTS // 2) <= len(shown) <= pictures.MOST_SNAPSHOTS
        gaps = np.diff(shown[:-1])
        assert len(set(gaps.tolist())) <= 1
        changes += not set(before[:-1]) <= set(shown)
        before = shown
    assert changes <= 3
    large = pictures.shown_epochs(many, 80_000, 200)
    assert len(large) >= 2 and len(large) * 80_000 * 200 <= pictures.MOST_NUMBERS


def test_a_snapshot_of_a_long_run_that_the_map_does_not_hold_shows_the_one_before(run, monkeypatch, nations):
    monkeypatch.setattr(pictures, "MOST_SNAPSHOTS", 3)
    for epoch in (6, 7, 8):
        np.savez(run.path / "snapshots" / f"{epoch:06d}.npz", **small_run.arrays(nations, epoch))
    app = screen(run=run.id, projection="pca", epoch="7")
    assert plate(app)["epochs"] == [0, 6, 8] and data(app)["epoch"] == 6 and asked(app, "epoch") == "6"
    assert not app.warning
    assert "no snapshot of epoch “9”" in screen(run=run.id, projection="pca", epoch="9").warning[0].value


# --- live runs


@pytest.fixture
def live(tmp_path, nations):
    """A run that another process is writing, with two snapshots, and a way to add one."""
    run = small_run.drawn(tmp_path / "runs", nations, "nations", "live", epochs=())
    with RunWriter.reopen(run.path) as writer:
        add = partial(small_run.add_snapshot, writer, nations)
        add(0), add(5)
        writer.write_status("running", epoch=5)
        yield run, add, writer


def test_a_live_run_is_followed_until_an_epoch_is_chosen(live):
    run, add, _ = live
    app = screen(run=run.id, projection="pca")
    assert data(app)["live"] is True and data(app)["epoch"] is None
    add(7)
    app.run()
    assert plate(app)["epochs"] == [0, 5, 7] and "of 3 snapshots together" in words(app)
    told(app, epoch=0)
    add(9)
    app.run()
    assert data(app)["epoch"] == 0 and asked(app, "epoch") == "0" and plate(app)["epochs"] == [0, 5, 7, 9]
    told(app, epoch=None)
    assert data(app)["epoch"] is None and asked(app, "epoch") is None


def test_a_live_run_is_never_fitted_jointly(live, monkeypatch):
    run, add, writer = live
    calls = counted(monkeypatch, fitting, "fit_in_helper")
    app = screen(run=run.id)
    for epoch in (7, 9):
        done()
        app.run()
        assert (plate(app)["method"], plate(app)["single"]["method"]) == ("PCA", "UMAP")
        assert "While a run trains, UMAP fits the epoch shown" in words(app)
        add(epoch)
        app.run()
    done()
    assert [tuple(epochs) for _, epochs, *_ in calls] == [(5,), (7,), (9,)]
    writer.write_status("finished", epoch=10)
    writer.close()
    app.run()
    done()
    assert [tuple(epochs) for _, epochs, *_ in calls][3:] == [(0, 5, 7, 9)]
    assert plate(app.run())["method"] == "UMAP"


def test_a_frozen_map_stays_with_its_snapshots(live):
    run, add, _ = live
    app = screen(run=run.id, projection="pca")
    app.toggle(key="map_freeze").set_value(True).run()
    add(7)
    app.run()
    assert plate(app)["epochs"] == [0, 5]
    app.toggle(key="map_freeze").set_value(False).run()
    app.run()
    assert plate(app)["epochs"] == [0, 5, 7]


def test_a_live_run_before_its_first_snapshot_says_that_it_comes(tmp_path, nations):
    run = small_run.drawn(tmp_path / "runs", nations, "nations", "early", epochs=())
    with RunWriter.reopen(run.path) as writer:
        writer.write_status("running", epoch=0)
        assert "No snapshot yet: the first comes as soon as training begins" in words(screen(run=run.id))


# --- what is not done


def test_the_table_is_built_only_when_its_part_is_open(run, monkeypatch):
    built = counted(monkeypatch, map_data, "table")
    app = screen(run=run.id, projection="pca")
    app.selectbox(key="map_relation").set_value(3).run()
    told(app, epoch=0, layers=["true"])

    def whole():
        return [arguments for arguments in built if len(arguments) == 3]

    assert not whole()
    app.session_state["map_table_open"] = True
    app.run()
    assert len(whole()) == 1
    assert len(app.dataframe[0].value) == 3 * len(plate(app)["view"]["heads"])


def test_the_page_to_save_is_made_only_when_it_is_asked_for(run, monkeypatch):
    made = counted(monkeypatch, map_view, "page")
    assert screen(run=run.id, projection="pca").get("download_button")
    assert not made


def test_other_screens_fit_and_pack_nothing(run, monkeypatch):
    calls = [
        counted(monkeypatch, *each)
        for each in (
            (fitting, "fit_in_helper"), (Axes, "of"), (map_plate, "plate"), (Projector, "submit"), (loading, "view")
        )
    ]  # fmt: skip
    # Real or generated draws a map of its own.
    others = {path.name for path in (small_run.ROOT / "pages").glob("*.py")} - {"map.py", "quiz.py"}
    assert len(others) >= 5
    for page in others:
        small_run.screen(page, run=run.id).run()
        assert not any(calls), page
    screen(run=run.id)
    done()
    assert all(calls)


def test_a_picture_in_memory_is_not_made_again_by_any_click(run, monkeypatch):
    app = screen(run=run.id, projection="pca")
    made = counted(monkeypatch, Axes, "of")
    for key, value in (("map_relation", 4), ("map_colour", "hardness"), ("map_projection", "umap")):
        kind = app.segmented_control if key == "map_projection" else app.selectbox
        kind(key=key).set_value(value).run()
    told(app, epoch=0)
    assert not made


def test_the_busiest_relation_is_shown_first(run, nations):
    app = screen(run=run.id, projection="pca")
    assert app.selectbox(key="map_relation").value == relation_view.busiest_relation(nations)
