"""The Map screen without a browser: what it shows, says and keeps in the URL."""

import json
import re
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dans_app import loading, map_figure, projection, snapshots, wanted
from dans_app.projection import Projection
from dans_app.projector import Job, Projector
from dans_core import runs as core_runs
from dans_core.kg import KnowledgeGraph
from dans_core.runs import Run
from dans_core.writer import RunWriter
from tests import small_run

WAIT = 60


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """Own folder for runs, no recorded run, and a UMAP that is quick and never imported."""
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr(core_runs, "RECORDED", tmp_path / "recorded")
    monkeypatch.setattr(Projector, "_compile", lambda self: self._warm.set())
    monkeypatch.setattr(
        projection,
        "umap_aside",
        lambda groups, start, rows: Projection("umap", (start * 2).astype(np.float32), 0.95, float("nan")),
    )
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def run(tmp_path, nations) -> Run:
    return small_run.drawn(tmp_path / "runs", nations, "nations", "one")


screen = partial(small_run.screen, "map.py")


def chart(app: AppTest):
    """The Plotly figure on the page and its element."""
    element = app.get("plotly_chart")[0].proto
    return json.loads(element.spec), element


def traces(app: AppTest) -> dict[str, dict]:
    return {trace.get("meta"): trace for trace in chart(app)[0]["data"] if trace.get("meta")}


def words(app: AppTest) -> str:
    return "\n".join(item.value for kind in ("markdown", "caption", "info") for item in app.get(kind))


# --- views


def test_a_view_has_the_facts_and_fakes_of_its_relation_and_no_others(nations):
    frame = snapshots.Frame.of(small_run.arrays(nations, 5), nations.num_entities, nations.num_relations)
    for relation in (3, 3 + nations.num_relations):
        view = snapshots.view_of(frame, nations, relation)
        facts = nations.queries("train")
        facts = facts[facts[:, 1] == relation]
        assert view.answers.tolist() == sorted(set(facts[:, 2].tolist()))
        assert view.counts.sum() == len(facts)
        for source in ("G_E", "G_R", "random"):
            assert view.negatives[source].heads.tolist() == sorted(set(facts[:, 0].tolist()))
        fakes = view.negatives["G_R"]
        first = nations.num_entities * 2
        assert (frame.queries[fakes.rows - first, 1] == relation).all()
        assert (frame.queries[fakes.rows - first, 0] == fakes.heads).all()


def test_nearest_cosine_scale_and_known_facts_are_those_of_the_plain_way(nations):
    frame = snapshots.Frame.of(small_run.arrays(nations, 5), nations.num_entities, nations.num_relations)
    fakes = snapshots.view_of(frame, nations, 3).negatives["G_E"]
    median = np.median([np.linalg.norm(e) for e in frame.entities])
    for i, head in enumerate(fakes.heads):
        vector = frame.fakes_e[head]
        cosines = [e @ vector / np.linalg.norm(e) / np.linalg.norm(vector) for e in frame.entities]
        assert fakes.nearest[i] == int(np.argmax(cosines))
        assert fakes.cosine[i] == pytest.approx(max(cosines), abs=1e-5)
        assert fakes.scale[i] == pytest.approx(np.linalg.norm(vector) / median, rel=1e-4)
        split = nations.split_of(int(head), 3, int(fakes.nearest[i]))
        assert fakes.known[i] == (-1 if split is None else ("train", "valid", "test").index(split))


def test_copies_are_drawn_as_one_marker_with_their_number(nations):
    frame = snapshots.Frame.of(small_run.arrays(nations, 5), nations.num_entities, nations.num_relations)
    view = snapshots.view_of(frame, nations, 3)
    figure = map_figure.figure(view, frame, projection.pca(frame.groups), nations, map_figure.DEFAULT_LAYERS)
    copies = next(trace for trace in figure.data if trace.meta == "G_R")
    count = len(view.negatives["G_R"])
    assert len(copies.x) == 1 and copies.text[0] == str(count) and str(count) in copies.hovertext[0]


def test_of_a_sample_only_the_points_with_a_place_are_drawn(nations, monkeypatch):
    frame = snapshots.Frame.of(small_run.arrays(nations, 5), nations.num_entities, nations.num_relations)
    view = snapshots.view_of(frame, nations, 3)
    points = projection.pca(frame.groups).points.copy()
    points[view.negatives["G_E"].rows[2:]] = np.nan
    part = Projection("umap", points, 0.9, float("nan"))
    figure = map_figure.figure(view, frame, part, nations, ["G_E"])
    assert len(next(trace for trace in figure.data if trace.meta == "G_E").x) == 2
    monkeypatch.setattr(map_figure, "MOST_POINTS", 5)
    rows = np.arange(frame.size)
    assert len(map_figure.drawn(rows, part)) == 5 and not np.isnan(points[map_figure.drawn(rows, part)]).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("entities"), "no entity embeddings"),
        (lambda a: a.update(entities=a["entities"][1:]), "not the same data"),
        (lambda a: a.update(heads_e=a["heads_e"][1:]), "do not match"),
        (lambda a: a.update(queries=a["queries"] + 10_000), "does not have"),
    ],
)
def test_a_snapshot_of_something_else_is_told_in_words(nations, change, message):
    arrays = small_run.arrays(nations, 5)
    change(arrays)
    with pytest.raises(ValueError, match=message):
        snapshots.Frame.of(arrays, nations.num_entities, nations.num_relations)


# --- the screen


def test_the_first_visit_shows_the_newest_snapshot_with_pca_and_says_that_umap_comes(
    run, nations, monkeypatch
):
    go, quick = threading.Event(), projection.umap_aside
    monkeypatch.setattr(projection, "umap_aside", lambda *parts: go.wait(WAIT) and quick(*parts))
    app = screen(run=run.id)
    assert "PCA for the moment; UMAP is being computed" in words(app)
    assert app.select_slider(key="map_epoch_slider").value == 5
    assert "epoch" not in app.query_params
    figure, element = chart(app)
    assert {"true", "G_E", "G_R", "random"} <= set(traces(app)) <= set(map_figure.DEFAULT_LAYERS)
    assert "true answers" in element.alt and "fakes of G_R nearest to one and the same entity" in element.alt
    assert figure["layout"]["xaxis"]["range"] and figure["layout"]["yaxis"]["range"]
    job = only_job(run, nations)
    go.set()
    assert loading.projector().wait(job, 10)
    app.run()
    assert "UMAP of all entities and fakes of epoch 5 together" in words(app)
    assert next(metric for metric in app.metric if metric.label == "Trustworthiness").value == "0.95"


def only_job(run, kg):
    view = loading.view(run, 5, kg, wanted.busiest_relation(kg))
    picture = loading.picture(run, 5, kg, "umap", view.focus)
    return picture.waiting or Job(Path(), "")


def test_a_kept_picture_is_not_computed_again(run, nations, monkeypatch):
    screen(run=run.id)
    loading.projector().wait(only_job(run, nations), 10)
    st.cache_resource.clear()
    monkeypatch.setattr(projection, "umap_aside", lambda *_: pytest.fail("computed again"))
    assert "UMAP of all entities" in words(screen(run=run.id))


def test_a_umap_that_fails_leaves_pca_and_says_why(run, nations, monkeypatch):
    def broken(*_):
        raise RuntimeError("no [numba](x) here")

    monkeypatch.setattr(projection, "umap_aside", broken)
    app = screen(run=run.id)
    loading.projector().wait(only_job(run, nations), 10)
    app.run()
    assert "UMAP failed: no \\[numba\\]\\(x\\) here" in words(app)
    assert chart(app)


def test_places_and_axes_stay_when_the_relation_changes(run, nations):
    app = screen(run=run.id, projection="pca", relation="embassy")
    before = chart(app)[0]["layout"]["xaxis"]["range"]
    app.selectbox(key="map_relation").set_value(nations.relation_id("treaties⁻¹")).run()
    assert app.query_params["relation"] == ["treaties⁻¹"] or app.query_params["relation"] == "treaties⁻¹"
    assert chart(app)[0]["layout"]["xaxis"]["range"] == before
    assert "Map of treaties⁻¹" in chart(app)[1].alt


def test_changing_the_relation_takes_at_most_a_fifth_of_a_second(tmp_path, umls):
    """The server's part, on a graph of 135 entities and 1,695 fakes; the best of several, since machines are shared."""
    run = small_run.drawn(tmp_path / "runs", umls, "umls", "large")
    app = screen(run=run.id, projection="pca")
    times = []
    for relation in (3, 20, 51, 60, 90):
        begin = time.perf_counter()
        app.selectbox(key="map_relation").set_value(relation).run()
        times.append(time.perf_counter() - begin)
    assert min(times) < 0.2, times


def test_layers_toggle_and_stand_in_the_url(run):
    app = screen(run=run.id)
    app.pills(key="map_layers").set_value(["true", "G_R"]).run()
    assert set(traces(app)) == {"true", "G_R"}
    assert "true,G_R" in str(app.query_params["layers"])
    assert set(traces(screen(run=run.id, layers="none"))) == set()


def test_the_opinion_of_d_colours_the_points(run):
    shown = traces(screen(run=run.id, colour="opinion"))
    assert shown["G_E"]["marker"]["coloraxis"] == "coloraxis"
    assert "0.25" in str(shown["G_E"]["hovertext"])


def test_an_entity_can_be_found_and_its_neighbours_are_named(run):
    app = screen(run=run.id, entity="brazil")
    assert "<b>brazil</b>" in chart(app)[0]["data"][-1]["text"]
    assert "Nearest in all dimensions, by cosine:" in words(app)


def test_selected_points_become_a_table_of_names(run):
    app = screen(run=run.id, projection="pca")
    points = traces(app)["G_R"]["customdata"]
    rows = map_figure.chosen_rows(
        [{"customdata": points[0]}, {"customdata": None}, {"customdata": ["true", 10**9, 0]}],
        loading.view(run, 5, loading.graph(run), wanted.busiest_relation(loading.graph(run))),
        projection.pca(loading.frame(run, 5, loading.graph(run)).groups),
        loading.graph(run),
    )
    assert len(rows) >= 1 and set(rows["source"]) == {"G_R"}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"relation": "embasy"}, "has no relation “embasy”; did you mean"),
        ({"relation": "<script>alert(1)</script>"}, "has no relation"),
        ({"relation": "x" * 5000}, "has no relation"),
        ({"epoch": "4"}, "no snapshot of epoch “4”"),
        ({"epoch": "-1"}, "no snapshot of epoch"),
        ({"epoch": "²"}, "no snapshot of epoch"),
        ({"projection": "t-sne"}, "umap or pca"),
        ({"layers": "true,[x](javascript:1)"}, "There is no layer"),
        ({"entity": "atlantis"}, "has no entity “atlantis”"),
        ({"colour": "pink"}, "source or opinion"),
    ],
)
def test_an_address_with_a_wrong_part_gets_one_sentence_and_the_rest_is_shown(run, query, said):
    app = screen(run=run.id, **query)
    assert len(app.warning) == 1
    text = re.sub(r"\\(.)", r"\1", app.warning[0].value)
    assert said in text and len(text) < 400
    assert not re.search(r"(?<!\\)[<\[]", app.warning[0].value)
    assert chart(app)
    app.selectbox(key="map_relation").set_value(1).run()
    assert not app.warning


def test_hover_and_labels_escape_names_from_a_file(tmp_path):
    evil = '<b onclick="x">&amp;%{x}</b>'
    folder = tmp_path / "evil"
    folder.mkdir()
    names = [evil, "<img src=x onerror=alert(1)>", "[a](javascript:b)", "$x$", "plain"]
    lines = [f"{a}\t<i>rel</i>\t{b}" for a in names for b in names[:2]]
    for split in ("train", "valid", "test"):
        (folder / f"{split}.txt").write_text("\n".join(lines if split == "train" else lines[:1]))
    run = small_run.drawn(tmp_path / "runs", KnowledgeGraph.load(folder), str(folder), "evil")
    app = screen(run=run.id, entity=evil, layers="true,held-out,G_E,G_R,random,others")
    spec = chart(app)[1].spec
    texts = [
        text
        for trace in json.loads(spec)["data"]
        for key in ("hovertext", "text")
        for text in trace.get(key) or []
    ]
    assert texts
    for text in texts:
        assert not re.search(r"<(?!/?b>|br>)", text), text
        assert "&amp;amp;" in text or "&amp;%" not in text
    for item in (*app.markdown, *app.caption, *app.warning):
        assert not re.search(r"(?<!\\)(\[a\]|<img|<i>|<b )", item.value)


def test_a_run_without_a_gan_says_so_and_shows_its_entities(tmp_path, nations):
    run = small_run.drawn(tmp_path / "runs", nations, "nations", "plain", gan=False)
    app = screen(run=run.id)
    assert "random negatives only" in words(app)
    assert {"true", "random"} <= set(traces(app)) <= {"true", "random", "others"} and not app.warning


def test_fakes_of_the_warm_up_are_called_what_they_are(run):
    assert "the GAN has learned nothing yet" in words(screen(run=run.id, epoch="0"))
    assert "the GAN has learned nothing yet" not in words(screen(run=run.id))


def test_a_run_without_snapshots_and_no_run_at_all_are_friendly(tmp_path, nations):
    assert "There is no run yet" in words(screen())
    run = small_run.drawn(tmp_path / "runs", nations, "nations", "bare", epochs=())
    assert "ended before its first snapshot" in words(screen(run=run.id))


def test_a_damaged_snapshot_is_one_sentence(run):
    (run.path / "snapshots" / "000005.npz").write_bytes(b"broken")
    app = screen(run=run.id)
    assert len(app.error) == 1 and "cannot be drawn" in app.error[0].value


def test_a_live_run_is_followed_until_an_epoch_is_chosen(tmp_path, nations):
    run = small_run.drawn(tmp_path / "runs", nations, "nations", "live")
    with RunWriter.reopen(run.path) as writer:
        for epoch in (0, 5):
            small_run.add_snapshot(writer, nations, epoch)
        writer.write_status("running", epoch=5)
        app = screen(run=run.id)
        assert "following the newest" in app.select_slider(key="map_epoch_slider").label
        small_run.add_snapshot(writer, nations, 7)
        app.run()
        assert app.select_slider(key="map_epoch_slider").value == 7
        app.select_slider(key="map_epoch_slider").set_value(0).run()
        small_run.add_snapshot(writer, nations, 9)
        app.run()
        assert app.select_slider(key="map_epoch_slider").value == 0
        assert "0" in str(app.query_params["epoch"])
        app.select_slider(key="map_epoch_slider").set_value(9).run()
        assert "epoch" not in app.query_params
