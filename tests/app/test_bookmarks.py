"""Bookmarks of views: the file they are kept in, what may stand in it, and the list on the screen."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from urllib.parse import urlencode

import pytest
import streamlit as st
from hypothesis import HealthCheck, given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

from dans_app.shared import bookmarks, shell
from dans_app.shared.bookmarks import Bookmark
from dans_app.shared.words import markdown_text
from dans_data.errors import InputError
from dans_data.words import visible_text
from tests import small_run
from tests.examples import examples

HOSTILE = "<img src=x onerror=alert(1)> **b** [x](javascript:y)"
texts = some.text(some.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr("dans_lab.runs.run.RECORDED", tmp_path / "recorded")
    st.cache_resource.clear()


@pytest.fixture
def file(tmp_path) -> Path:
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs" / ".bookmarks.json"


# --- the file


@examples(40, HealthCheck.function_scoped_fixture)
@given(
    name=texts.filter(visible_text),
    pairs=some.lists(some.tuples(some.from_regex(r"[a-z_]{1,9}", fullmatch=True), texts)),
)
def test_a_bookmark_reads_back(name, pairs):
    wanted = [pair for pair in pairs if pair[0] != bookmarks.TICKET]
    bookmarks.save(name, "map", pairs)
    found = bookmarks.load()[visible_text(name)]
    assert (found.page, found.pairs) == ("map", wanted)
    bookmarks.delete(visible_text(name))
    assert visible_text(name) not in bookmarks.load()


def test_a_name_is_replaced_renamed_and_deleted():
    assert not bookmarks.save("a", "map", [("run", "one")])
    assert not bookmarks.save("b", "", [])
    assert bookmarks.save("  a ", "triplet", [("run", "two")])
    assert {name: kept.page for name, kept in bookmarks.load().items()} == {"b": "", "a": "triplet"}
    bookmarks.rename("b", "c")
    assert list(bookmarks.load()) == ["c", "a"]
    for old, new, said in (("c", "a", "already"), ("gone", "x", "no bookmark"), ("c", " ", "is empty")):
        with pytest.raises(InputError, match=said):
            bookmarks.rename(old, new)
    bookmarks.delete("gone")
    bookmarks.delete("a")
    assert list(bookmarks.load()) == ["c"]


def test_there_is_a_limit_and_a_full_list_can_still_be_changed(file):
    full = [{"name": f"n{i}", "page": "map", "query": "run=one"} for i in range(bookmarks.MOST)]
    file.write_text(json.dumps({"bookmarks": full}))
    with pytest.raises(InputError, match="200 bookmarks"):
        bookmarks.save("one more", "map", [])
    assert bookmarks.save("n7", "triplet", [])
    assert len(bookmarks.load()) == bookmarks.MOST
    for name, query, said in (
        ("", [], "is empty"),
        ("x" * 81, [], "longer than 80"),
        ("x", [("a", "y" * 5000)], "address of this view is longer"),
    ):
        with pytest.raises(InputError, match=said):
            bookmarks.save(name, "map", query)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"bookmarks": [{"name": "a", "page": "map"}]}',
        b'{"bookmarks": [{"name": "", "page": "map", "query": ""}]}',
        b'{"bookmarks": [{"name": "a", "page": "../map", "query": ""}]}',
        b'{"bookmarks": [{"name": "a", "page": "https://x.org/", "query": ""}]}',
        b'{"bookmarks": [{"name": "a", "page": "map", "query": "x=</script>"}]}',
        b'{"bookmarks": [{"name": "a", "page": "map", "query": "view=7"}]}',
        b'{"bookmarks": [{"name": "a\\u202eb", "page": "map", "query": ""}]}',
        json.dumps({"bookmarks": [{"name": f"n{i}", "page": "", "query": ""} for i in range(201)]}).encode(),
        b'{"bookmarks": [], "more": "' + b"x" * 2_000_000 + b'"}',
    ],
)
def test_a_damaged_file_is_told_and_left_alone(file, content):
    file.write_bytes(content)
    for action in (
        bookmarks.load,
        lambda: bookmarks.save("a", "map", []),
        lambda: bookmarks.rename("a", "b"),
        lambda: bookmarks.delete("a"),
    ):
        with pytest.raises(InputError, match="bookmarks"):
            action()
    assert file.read_bytes() == content
    app = opened(app_with())
    assert "cannot be read, and are left as they are" in app.warning[0].value
    assert (
        not app.text_input(key="bookmark_name")
        if "bookmark_name" in [i.key for i in app.text_input]
        else True
    )
    assert not app.get("page_link")


def test_a_runs_folder_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "file" / "runs"))
    with pytest.raises(InputError, match="cannot be"):
        bookmarks.save("a", "map", [])


def test_many_at_once_lose_nothing():
    def add(person: int) -> None:
        for i in range(8):
            bookmarks.save(f"{person}-{i}", "map", [])

    people = [threading.Thread(target=add, args=(person,)) for person in range(4)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert len(bookmarks.load()) == 32


# --- the list on the screen


app_with = small_run.app


def opened(app: AppTest) -> AppTest:
    app.button(key="toolbar_bookmarks").click().run()
    assert not app.exception
    return app


def press(app: AppTest, label: str) -> AppTest:
    """Press a button of the dialog, and open the dialog again, which a browser leaves open."""
    next(button for button in app.button if button.label == label).click().run()
    return opened(app)


def captions(app: AppTest) -> str:
    return "\n".join(caption.value for caption in app.caption)


def test_a_view_is_bookmarked_renamed_and_deleted(tmp_path, nations):
    small_run.drawn(tmp_path / "runs", nations, "nations", "one")
    app = opened(app_with(run="one", epochs="40"))
    assert "No bookmarks yet" in captions(app)
    app.text_input(key="bookmark_name").input(HOSTILE)
    app = press(app, "Bookmark this view")
    kept = bookmarks.load()[HOSTILE]
    assert (kept.page, kept.pairs) == ("", [("run", "one"), ("epochs", "40")])
    assert f"Added “{markdown_text(HOSTILE)}”." in captions(app)
    (link,) = app.get("page_link")
    assert (link.proto.label, link.proto.page, link.proto.external) == (markdown_text(HOSTILE), "", False)
    assert link.proto.query_string == "run=one&epochs=40&view=1"
    app.text_input(key="bookmark_name").input(HOSTILE)
    app = press(app, "Bookmark this view")
    assert "Replaced" in captions(app) and len(bookmarks.load()) == 1
    app.session_state["bookmark_chosen"] = HOSTILE
    app = opened(app)
    next(field for field in app.text_input if field.label == "New name").input("mine")
    app = press(app, "Rename")
    assert list(bookmarks.load()) == ["mine"] and "is now “mine”" in captions(app)
    app.session_state["bookmark_chosen"] = "mine"
    app = press(opened(app), "Delete")
    assert bookmarks.load() == {} and "Deleted “mine”." in captions(app)
    app = press(app, "Bookmark this view")
    assert "The name is empty" in captions(app)


def test_a_page_of_another_version_is_no_link(file):
    kept = [Bookmark(name="old", page="gone", query=""), Bookmark(name="new", page="map", query="run=x")]
    file.write_text(json.dumps({"bookmarks": [each.model_dump() for each in kept]}))
    app = opened(app_with())
    assert [link.proto.label for link in app.get("page_link")] == ["new"]
    assert "“gone” is not in this version" in captions(app)


def test_a_link_makes_the_session_forget_once(tmp_path, nations):
    small_run.drawn(tmp_path / "runs", nations, "nations", "one")
    small_run.drawn(tmp_path / "runs", nations, "nations", "two", gan=False)
    app = app_with(run="one")
    assert app.session_state[shell.PICKED] == "one"
    app.session_state["address_map_"] = {"scope": "x", "values": {"relation": "old"}}

    def arrive(ticket: str, run: str) -> str:
        app.query_params["run"], app.query_params[bookmarks.TICKET] = run, ticket
        app.run()
        assert not app.exception and bookmarks.TICKET not in app.query_params
        return app.session_state[shell.PICKED]

    assert arrive("1", "two") == "two"
    assert "address_map_" not in app.session_state
    # An old address, sent once more with a tick; and what no link says.
    for ticket in ("1", "0", "x", "٢", "", urlencode({"a": "b"})):
        assert arrive(ticket, "one") == "two", ticket
    assert arrive("2", "one") == "one"
    app.number_input(key="epochs").set_value(77).run()
    app.query_params.pop("epochs", None)
    arrive("3", "one")
    assert app.number_input(key="epochs").value == 300
