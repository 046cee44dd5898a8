"""What a teacher's link hides and says: read, kept, made, and respected by every screen."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

from dans_app.shared import classroom
from dans_app.shared.classroom import PARTS, Classroom
from tests import small_run
from tests.small_run import ROOT
from tests.waiting import PATIENCE

HOSTILE = "<img src=x onerror=alert(1)> **b** [x](javascript:y) :material/home: \u202e"
texts = some.text(some.characters(exclude_categories=["Cs"]), max_size=400)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A folder with one run, made once."""
    folder = tmp_path_factory.mktemp("classroom")
    small_run.trained(folder, "small")
    return folder


@pytest.fixture(autouse=True)
def alone(runs, tmp_path, monkeypatch):
    small_run.only(runs, tmp_path, monkeypatch)


def screen(page: str, hidden: set[str], task: str = "", **query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "pages" / page), default_timeout=PATIENCE)
    app.session_state["dans_ready"] = True
    app.session_state["dans_classroom"] = Classroom(frozenset(hidden), task)
    for name, value in {"run": "small", **query}.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def labels(app: AppTest) -> set[str]:
    return {each.label for kind in ("button", "download_button", "selectbox") for each in app.get(kind)}


# --- an address


@given(some.lists(some.sampled_from([*PARTS, "nonsense", ""])), texts)
def test_a_link_that_is_made_is_read_as_it_was_meant(parts, task):
    made = classroom.link("http://host/map?run=a&hide=menu&task=old&embed=true", parts, task, embed=True)
    query = parse_qs(urlsplit(made).query)
    assert query["run"] == ["a"] and query["embed"] == ["true"]
    read = classroom.read(query.get("hide", [None])[0], query.get("task", [None])[0])
    assert read.hidden == set(parts) & PARTS.keys() and read.problem is None
    assert read.task == " ".join(" ".join(task.split())[: classroom.LONGEST_TASK].split())
    assert len(read.task) <= classroom.LONGEST_TASK


@given(texts, texts)
def test_any_address_gives_known_parts_and_a_short_task(hide, task):
    read = classroom.read(hide, task * 3)
    assert read.hidden <= PARTS.keys() and len(read.task) <= classroom.LONGEST_TASK
    assert read.problem is None or "what can be hidden is menu" in read.problem


def test_an_unknown_part_gets_one_sentence():
    assert "asks to hide “&lt;b&gt;”".replace("&lt;", "\\<").replace("&gt;", "\\>") in (
        classroom.read("menu,<b>", None).problem or ""
    )


@given(texts)
def test_the_html_to_embed_is_one_frame_of_the_link_whatever_the_task_says(task):
    made = classroom.link("http://host/?run=a", ["menu"], task, embed=True)
    found: list[tuple[str, dict[str, str | None]]] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.append((tag, dict(attrs)))

    Tags().feed(classroom.snippet(made))
    ((tag, attributes),) = found
    assert tag == "iframe" and attributes["src"] == made
    assert set(attributes) == {"src", "title", "width", "height", "style", "allow"}


def test_the_documents_say_what_each_part_is():
    text = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
    for part in PARTS:
        assert f"| `{part}` |" in text
    assert f"at most {classroom.LONGEST_TASK} characters" in text


# --- the screens


def test_the_first_screen_reads_its_address_and_keeps_it():
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE)
    app.query_params["run"] = "small"
    app.query_params["hide"] = "settings,run,tools,chalk"
    app.query_params["task"] = HOSTILE
    app.run()
    assert not app.exception
    assert not labels(app) & {"Share", "Teach", "Start training", "Run", "Train the twin"}
    assert "asks to hide “chalk”" in app.warning[0].value
    said = app.info[0].value
    assert "\\<img src=x onerror=alert\\(1\\)\\>" in said and "\\*\\*b\\*\\*" in said and ":\u2060" in said
    assert app.query_params["hide"] == "run,settings,tools"


PAGES = sorted(path.name for path in (ROOT / "pages").glob("*.py"))


@pytest.mark.parametrize("page", PAGES)
def test_every_screen_opens_with_all_hidden_and_shows_the_task(page):
    app = screen(page, set(PARTS), task="What is a negative?")
    assert "What is a negative?" in app.info[0].value
    assert not labels(app) & {
        "Share",
        "Bookmarks",
        "Teach",
        "Run",
        "Start training",
        "Table as CSV",
        "Chart as a web page",
    }


def test_without_a_link_nothing_is_hidden():
    shown = labels(small_run.screen("train.py", run="small"))
    assert {"Share", "Bookmarks", "Teach", "Run", "Start training"} <= shown


def test_parts_of_the_game_and_downloads_are_hidden_one_by_one():
    assert "Ten others" in labels(screen("quiz.py", {"run"}))
    assert "Ten others" not in labels(screen("quiz.py", {"game"}))
    there = screen("triplet.py", set())
    assert {"Table as CSV", "Chart as a web page"} <= labels(there)
    told = {each.value for each in screen("diagnostics.py", set()).markdown}
    assert any(each.startswith("**At epoch") for each in told)
    quiet = screen("diagnostics.py", {"health"})
    assert not any("**At epoch" in each.value for each in quiet.markdown)
    assert "When something was wrong" not in {each.value for each in quiet.header}
    assert "How hard are they?" in {each.value for each in quiet.header}
    assert not labels(screen("triplet.py", {"downloads"})) & {"Table as CSV", "Chart as a web page"}
