"""The screen For teachers: cards, links, the page to print, and lecture plans that say what the screens say."""

import re
from html.parser import HTMLParser
from urllib.parse import parse_qsl

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dans_app.quiz import judges, pools
from dans_app.quiz.games import GAMES
from dans_app.server import loading
from dans_app.shared.words import markdown_text
from dans_app.teach import handout, plans
from dans_lab.lessons.cards import Answer, Card, cards
from dans_lab.runs.run import RECORDED, Run
from tests import small_run
from tests.small_run import ROOT


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    st.cache_resource.clear()
    st.cache_data.clear()


def words(app: AppTest) -> str:
    """All text of a screen, without the marks of Markdown."""
    kinds = ("title", "header", "markdown", "caption", "info", "warning")
    text = "\n".join(item.value for kind in kinds for item in app.get(kind))
    return re.sub(r"\*\*|\\|:\w+\[.\] ?", "", text.replace("\N{NO-BREAK SPACE}", " "))


def test_every_lesson_has_a_card_with_its_link_and_the_answers_to_expect():
    app = small_run.screen("teach.py")
    said = "\n".join(item.value for item in app.markdown)
    links = [block.value for block in app.code]
    for card in cards():
        assert markdown_text(card.title) in said and f"{card.minutes} minutes" in said
        assert markdown_text(card.before, 300) in said
        assert markdown_text(card.measured) in said
        assert any(link.endswith(f"/{card.link}") for link in links)
        for answer in card.answers:
            assert markdown_text(answer.expected, 300) in said


def test_links_hide_what_was_chosen():
    app = small_run.screen("teach.py")
    app.get("button_group")[0].set_value(["menu", "tools"]).run()
    assert not app.exception
    assert all(block.value.endswith("&hide=menu%2Ctools") for block in app.code)


def test_the_page_to_print_asks_and_does_not_answer():
    hostile = "<script>alert(1)</script>"
    made = Card(
        "a",
        hostile,
        "",
        5,
        "",
        "lessons?lesson=a",
        "How many?",
        "7 entities",
        (Answer("Why?", "So.", "It is."),),
    )
    tags: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append(tag)

    text = handout.page([made])
    Tags().feed(text)
    assert "How many?" in text and "Why?" in text
    assert "7 entities" not in text and "So." not in text and "It is." not in text
    assert "script" not in tags and {"html", "title", "table"} <= set(tags)
    assert "http" not in text, "it prints without a network"


def test_the_page_to_print_has_all_lessons():
    text = handout.page(cards())
    assert text.count("I predict:") == len(cards()) == 8


@pytest.mark.parametrize("name", list(plans.PLANS))
def test_a_plan_is_as_long_as_it_says_and_its_addresses_are_links(name):
    text = (plans.DOCS / name).read_text(encoding="utf-8")
    minutes = [tuple(map(int, part)) for part in re.findall(r"^## (\d+)–(\d+) · ", text, re.MULTILINE)]
    assert [start for start, _ in minutes] == [0, *(end for _, end in minutes[:-1])]
    assert f"{minutes[-1][1]} minutes" in text
    shown = plans.plan(name, "http://host:8501/base/teach?x=1")
    for place in plans.places(name):
        assert f"](http://host:8501/base/{place})" in shown


STOPS = {
    f"{name} {place}": (place, said) for name in plans.PLANS for place, said in plans.places(name).items()
}


@pytest.mark.parametrize("stop", STOPS)
def test_each_screen_of_a_plan_says_what_the_plan_says_it_does(stop):
    place, said = STOPS[stop]
    path, _, query = place.partition("?")
    app = small_run.screen(f"{path or 'train'}.py", **dict(parse_qsl(query)))
    assert plans.quoted(said) and not [each for each in app.warning if each.icon == ":material/link_off:"]
    shown = words(app)
    for line in plans.quoted(said):
        assert line in shown
    assert (ROOT / "pages" / f"{path or 'train'}.py").exists()


@pytest.mark.parametrize("stop", [stop for stop in STOPS if "quiz?" in stop])
def test_a_plan_says_how_well_the_discriminator_plays(stop):
    place, said = STOPS[stop]
    query = dict(parse_qsl(place.partition("?")[2]))
    run, game = Run(RECORDED / query["run"]), GAMES[query.get("game", "real")]
    candidates = pools.pool(run, loading.graph(run), game.name, int(query["epoch"]))
    ten = pools.draw(candidates, game, int(query["seed"]))
    found = re.search(r"(D_adv|D_aux)[^.]* is right in (\d+)\s+of these ten", said)
    assert found
    judge = next(each for each in judges.judges(candidates, game, ten) if each.name == found[1])
    right = [
        judge.says(float(candidates.measures[judge.measure][each])) == candidates.sought[each] for each in ten
    ]
    assert sum(right) == int(found[2])
