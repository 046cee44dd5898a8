"""Names found as one types: against asking every name, and in how much of the processor's time."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from dans_app.shared import name_index, name_search
from dans_app.shared.name_index import NameIndex
from tests.conftest import random_graph

LETTERS = st.text("aAbB_ ß:é", max_size=6)


def asked_one_by_one(names: list[str], text: str) -> list[int]:
    """Positions of all that match: those that begin with it, then those that hold it, by their folded names."""
    wanted = text.strip().casefold().replace("_", " ")
    if not wanted:
        return []
    folded = {number: name.casefold().replace("_", " ") for number, name in enumerate(names)}
    order = sorted(folded, key=lambda number: (folded[number], number))
    first = [number for number in order if folded[number].startswith(wanted)]
    return first + [number for number in order if wanted in folded[number] and number not in first]


@given(st.lists(LETTERS, unique=True, max_size=12), LETTERS, st.integers(1, 14))
def test_what_is_found_is_what_asking_every_name_finds(names, text, most):
    assert NameIndex(names).find(text, most) == asked_one_by_one(names, text)[:most]


def test_text_that_is_no_part_of_a_name_finds_nothing():
    index = NameIndex(["ab", "cd"])
    assert index.find("b\nc", 5) == index.find("   ", 5) == index.find("x" * 10_000, 5) == []
    assert index.find("b", 5) == [0]


def test_offered_names_stand_first_and_alone_before_anything_is_typed():
    kg = random_graph(0)
    offers = {kg.entities[7]: "test", kg.entities[2]: ""}
    assert name_search.suggestions(kg, "  ", offers) == list(offers)
    found = name_search.suggestions(kg, "E0", offers)
    assert found[:2] == list(offers) and sorted(found) == sorted(kg.entities)
    assert name_search.suggestions(kg, "7", offers) == [kg.entities[7]]
    assert name_search.suggestions(kg, "nothing like it", offers) == []


def test_of_many_that_match_one_more_than_is_shown_is_found(monkeypatch):
    monkeypatch.setattr(name_search, "MOST", 3)
    kg = random_graph(0)
    assert name_search.suggestions(kg, "e", {}) == list(kg.entities[:4])


def test_a_search_of_200_000_names_takes_milliseconds():
    names = [
        f"concept:{kind}:name_{number}" for number in range(50_000) for kind in ("city", "river", "bird", "x")
    ]
    index = NameIndex(names)
    for text in ("concept:river:name_4", "name 49999", "zzz", "e", "nowhere_to_be_found", "x:name_7"):
        took = []
        for _ in range(3):
            begin = time.thread_time()
            index.find(text, name_search.MOST + 1)
            took.append(time.thread_time() - begin)
        assert min(took) < 0.02, (text, took)
    assert name_index.LONGEST <= 200
