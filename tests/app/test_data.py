"""The Data screen without a browser: every data set there can be, what an address may ask, downloads, one's own."""

from __future__ import annotations

import http.server
import os
import threading
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import streamlit as st

from dans_app.data import around as data_around
from dans_app.data import figures as data_figures
from dans_app.data import known as data_known
from dans_app.data import tables as data_tables
from dans_core import KnowledgeGraph
from dans_data import Dataset, own
from dans_data.catalogue import CATALOGUE
from dans_lab import survey
from tests import small_run
from tests.conftest import random_graph

screen = partial(small_run.screen, "data.py")
HOSTILE = "<img src=x onerror=alert(1)> **bold** :material/bolt:"
DATA = os.environ.get("DANS_DATA_DIR")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """No runs, an empty cache, and no data but what comes with the program."""
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("DANS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DANS_OWN_DIR", str(tmp_path / "own"))
    monkeypatch.delenv("DANS_DATA_DIR", raising=False)
    monkeypatch.setattr("dans_lab.runs.run.RECORDED", tmp_path / "recorded")
    st.cache_resource.clear()
    st.cache_data.clear()
    return tmp_path


def said(app) -> str:
    kinds = ("markdown", "caption", "info", "warning", "error")
    return "\n".join(item.value for kind in kinds for item in app.get(kind)).replace("\\", "")


def asked(app, name: str) -> str | None:
    value = app.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def buttons(app) -> list[str]:
    return [button.label for button in app.button]


def keep(name: str, *rows: tuple[str, str, str], valid=None, test=None) -> None:
    """A data set of one's own."""
    splits = {"train": list(rows), "valid": valid or [rows[0]], "test": test or [rows[-1]]}
    own.add(Dataset(name, splits, split_seed=None), name)


# --- a data set ------------------------------------------------------------------------------------------------


def test_a_newcomer_sees_the_first_data_set_and_what_to_know_of_it():
    app = screen()
    assert asked(app, "data") == "umls"
    assert {metric.label: metric.value for metric in app.metric} == {
        "Entities": "135",
        "Relations": "46",
        "Train": "5,216",
        "Valid": "652",
        "Test": "661",
    }
    words = said(app)
    assert "97 of 661 test triplets (15 %)" in words and "test MRR of **0.661**" in words
    # The catalogue says these, too, in other words; each number is said once.
    assert words.count("421") == 1 and words.count("0.661") == 1 and words.count("97 of 661") == 1
    assert "16.5 true tails" in words
    assert not app.warning and not app.error


@pytest.mark.parametrize(("query", "first"), [({}, False), ({"own": "first"}, True), ({"own": "zz"}, False)])
def test_who_comes_for_ones_own_triplets_finds_their_panel_first(query, first):
    app = screen(**query)
    headers = [header.value for header in app.header]
    assert (headers[0] == "Bring your own triplets") == first and headers.count(
        "Bring your own triplets"
    ) == 1
    assert len(app.warning) == (query.get("own") == "zz")
    if first:
        app.selectbox(key="data_choice").set_value("nations").run()
        assert app.header[0].value != "Bring your own triplets" and "own" not in app.query_params


def test_the_chart_and_the_table_say_what_they_show():
    app = screen(data="umls", degrees="exactly")
    alt = app.get("plotly_chart")[0].proto.alt
    assert alt.startswith("How many entities stand in exactly so many train triplets")
    assert "as head, 135 entities have at least 1" in alt
    table = app.dataframe[1].value
    assert len(table) == 46 and table["relation"][0] == "affects" and table["train"][0] == 803


def test_a_relation_is_opened_by_its_name_and_a_reciprocal_is_the_same():
    for name in ("isa", "isa⁻¹"):
        app = screen(data="umls", relation=name)
        assert asked(app, "relation") == "isa"
        assert "**isa**" in said(app) and "7.7 % of all triplets" in said(app)
    tails = app.dataframe[-1].value
    assert list(tails.columns) == ["Tail", "Times"] and tails["Tail"][0] == "entity"
    assert tails["Times"].is_monotonic_decreasing


def test_the_entity_with_most_triplets_is_shown_first_and_any_other_by_its_name():
    assert asked(screen(data="umls"), "entity") == "cell_or_molecular_dysfunction"
    app = screen(data="umls", entity="enzyme", steps="2")
    words = said(app)
    assert "**enzyme** is the head of 73 triplets and the tail of 53" in words
    assert "Drawn are 40 of them" in words and "5,927 triplets" in words
    table = app.dataframe[0].value
    assert set(table["hop"]) == {1, 2}
    near = table[table["hop"] == 1]
    assert ((near["head"] == "enzyme") | (near["tail"] == "enzyme")).all() and len(near) == 126


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"data": "ulms"}, 'There is no data set “ulms” here; did you mean "umls"? UMLS is shown instead.'),
        ({"data": "../../etc"}, "There is no data set “../../etc” here; UMLS is shown instead."),
        ({"relation": "is_a"}, "This data set has no relation “is_a”"),
        ({"relation": "afects"}, 'This data set has no relation “afects”; did you mean "affects"?'),
        ({"entity": "enzymes"}, "UMLS has no entity “enzymes”"),
        ({"steps": "9"}, "The address asks for steps “9”; it can be 1 or 2."),
        ({"degrees": "all"}, "The address asks for degrees “all”; it can be least or exactly."),
        ({"data": HOSTILE}, "There is no data set “<img src=x"),
        ({"relation": "x" * 100_000}, "This data set has no relation “xxx"),
    ],
)
def test_what_an_address_asks_for_in_vain_gets_one_sentence(query, sentence):
    app = screen(**query)
    assert len(app.warning) == 1 and sentence in app.warning[0].value.replace("\\", "")
    assert "**bold**" not in app.warning[0].value and ":material/bolt" not in app.warning[0].value
    assert "?." not in app.warning[0].value and "?;" not in app.warning[0].value
    assert asked(app, "data") == "umls" and app.metric


def test_a_title_is_as_good_as_a_name_in_an_address():
    assert asked(screen(data="Nations"), "data") == "nations"


def test_another_data_set_is_chosen_from_the_list_and_forgets_the_entity_of_the_last():
    app = screen(data="umls", entity="enzyme", relation="isa")
    app.selectbox(key="data_choice").select("nations").run()
    assert not app.exception and not app.warning
    assert asked(app, "data") == "nations" and asked(app, "relation") is None
    assert asked(app, "entity") != "enzyme" and app.metric[0].value == "14"


def test_names_from_a_file_mean_nothing_on_the_page():
    keep("foreign", (HOSTILE, HOSTILE, "b"), ("b", "r", HOSTILE), (HOSTILE, HOSTILE, "c"))
    app = screen(data="foreign", entity=HOSTILE, relation=HOSTILE)
    assert not app.warning
    for item in (*app.markdown, *app.caption, *app.info):
        assert "**bold**" not in item.value and ":material/bolt" not in item.value
        assert "<img" not in item.value.replace("\\<", "")


# --- what is not here, or not well --------------------------------------------------------------------------------


def test_what_can_be_downloaded_is_described_before_it_is_here():
    app = screen(data="wn18rr")
    assert app.metric[0].value == "40,943" and "Download (3.4 MB)" in buttons(app)
    assert "384 entities never occur in train" in said(app) and "Licence: MIT" in said(app)
    assert "Train on this" not in buttons(app) and not app.get("plotly_chart")


@pytest.fixture
def mirror(monkeypatch):
    """A server on this machine that has nothing but what is put into the answer, by path."""
    files: dict[str, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            data = files.get(self.path)
            self.send_response(404 if data is None else 200)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("DANS_MIRROR", f"http://127.0.0.1:{server.server_port}")
    yield files
    server.shutdown()
    server.server_close()


def press(app, label: str):
    next(button for button in app.button if button.label == label).click()
    return app.run()


def test_a_download_that_fails_says_why_and_can_be_tried_again(mirror):
    app = press(screen(data="wn18rr"), "Download (3.4 MB)")
    assert not app.exception and len(app.error) == 1
    assert "answered 404" in app.error[0].value and "Download (3.4 MB)" in buttons(app)


@pytest.mark.skipif(not DATA, reason="needs WN18RR in DANS_DATA_DIR")
def test_a_downloaded_data_set_is_shown_at_once(mirror):
    for split, file in CATALOGUE["wn18rr"].files.items():
        path = "/" + file.url.split("/", 3)[3]
        mirror[path] = Path(DATA, "wn18rr", f"{split}.txt").read_bytes()
    app = press(screen(data="wn18rr"), "Download (3.4 MB)")
    assert not app.exception and not app.error
    assert "1,086 of 3,134 test triplets (35 %)" in said(app) and app.get("plotly_chart")
    assert "Train on this" in buttons(app)


def test_a_folder_that_is_no_data_set_is_told_and_the_rest_works(tmp_path, monkeypatch):
    broken = tmp_path / "data" / "broken"
    broken.mkdir(parents=True)
    for split in ("train", "valid", "test"):
        (broken / f"{split}.txt").write_text("two\tcolumns\n")
    monkeypatch.setenv("DANS_DATA_DIR", str(broken.parent))
    app = screen(data="broken")
    assert len(app.error) == 1 and "It cannot be read" in app.error[0].value
    assert not app.get("plotly_chart") and "Train on this" not in buttons(app)
    assert not screen().error


# --- one's own -------------------------------------------------------------------------------------------------


def test_ones_own_is_surveyed_and_removed_after_a_question():
    keep("mine", ("a", "likes", "b"), ("b", "likes", "c"), ("a", "likes", "b"))
    app = screen(data="mine")
    assert "The splits overlap: 1 of 1 valid triplets (100 %) also in train" in said(app)
    app = press(app, "Remove")
    assert "mine" in own.names() and "No run was trained on it" in said(app)
    app = press(app, "Remove for good")
    assert not app.exception and "mine" not in own.names()
    assert asked(app, "data") == "umls" and not app.warning


def test_what_takes_the_place_of_a_removed_data_set_is_read_anew():
    keep("mine", ("a", "likes", "b"), ("b", "likes", "c"))
    assert screen(data="mine").metric[0].value == "3"
    own.remove("mine")
    keep("mine", ("a", "likes", "b"), ("b", "likes", "c"), ("c", "likes", "d"))
    app = screen(data="mine")
    assert app.metric[0].value == "4"
    assert data_known.surveyed(data_known.listing()["mine"]).kg.entities == ("a", "b", "c", "d")


def test_a_run_on_the_data_leads_to_the_other_screens(tmp_path):
    assert "Find it on the map" not in buttons(screen(data="nations"))
    kg = KnowledgeGraph.load("nations")
    small_run.drawn(tmp_path / "runs", kg, "nations", "small")
    assert "Find it on the map" in buttons(screen(data="nations"))
    assert "Find it on the map" not in buttons(screen(data="umls"))


# --- parts -----------------------------------------------------------------------------------------------------


def test_points_of_the_chart_are_those_of_a_slow_count():
    found = survey.degrees(random_graph(1))
    for of in (found.out, found.into, found.both):
        degree, exactly = data_figures.points(of, "exactly")
        assert dict(zip(degree.tolist(), exactly.tolist(), strict=True)) == {
            number: count for number, count in Counter(of.tolist()).items() if number
        }
        degree, least = data_figures.points(of, "least")
        assert least.tolist() == [int((of >= number).sum()) for number in degree]


def test_the_drawing_has_every_triplet_it_was_given_and_relations_look_different(umls):
    entity = umls.entity_id("enzyme")
    found = survey.neighbourhood(umls, entity, 40, second_hop=True)
    scene = data_around.scene(umls, found)
    drawn = {
        (group["relation"], group["out"], item["id"], item["split"])
        for group in scene["groups"]
        for item in group["items"]
    }
    wanted = {
        (
            umls.relations[link.relation],
            link.head == entity,
            link.tail if link.head == entity else link.head,
            link.split,
        )
        for link in found.first
    }
    assert drawn == wanted and len(scene["further"]) == len(found.second) == 40
    looks = {group["relation"]: (group["color"], group["dash"]) for group in scene["groups"]}
    assert len(set(looks.values())) == len(looks)
    near = {item["id"] for group in scene["groups"] for item in group["items"]}
    assert all(link["near"] in near for link in scene["further"])
    assert scene["alt"].startswith("The network around enzyme: 40 of 126 triplets")


def test_a_self_loop_and_an_entity_without_triplets_can_be_drawn():
    rows = np.array([[0, 0, 0], [0, 0, 1]])
    kg = KnowledgeGraph(rows, rows[:0], rows[:0], ["a", "b", "c"], ["r"], "loops")
    scene = data_around.scene(kg, survey.neighbourhood(kg, 0, second_hop=True))
    assert [item["name"] for item in scene["groups"][0]["items"]] == ["a", "b"]
    assert data_around.scene(kg, survey.neighbourhood(kg, 2))["groups"] == []


@pytest.mark.parametrize("sent", [None, "3", -1, 14, True, 1.0, [1], {"a": 1}])
def test_only_an_entity_can_be_pressed(nations, sent):
    st.session_state["around"] = {"picked": sent}
    assert data_around.picked("around", nations) is None
    st.session_state["around"] = {"picked": 13}
    assert data_around.picked("around", nations) == 13


def test_the_way_one_came_is_short_and_goes_back(nations):
    st.session_state.pop(f"data_trail_{nations.hash[:16]}", None)
    for entity in range(9):
        came = data_around.trail(nations, entity)
    assert came == [3, 4, 5, 6, 7, 8]
    assert data_around.trail(nations, 5) == [3, 4, 5] and data_around.trail(nations, 5) == [3, 4, 5]


def test_most_frequent_heads_and_examples_are_of_the_relation(umls):
    relation = umls.relation_id("isa")
    train = [tuple(row) for row in umls.array("train").tolist()]
    counts = Counter(h for h, r, _ in train if r == relation)
    ids, times = data_tables.frequent(umls, relation, 0)
    assert times.tolist() == sorted(counts.values(), reverse=True)[: len(times)]
    assert all(counts[entity] == count for entity, count in zip(ids.tolist(), times.tolist(), strict=True))
    rows = data_tables.examples(umls, relation)
    assert len(rows) == data_tables.EXAMPLES and all(tuple(row) in train for row in rows.tolist())
    assert (rows == data_tables.examples(umls, relation)).all()
