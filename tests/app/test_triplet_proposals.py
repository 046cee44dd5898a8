"""What the Triplet screen shows of proposals: for whom, in words, as a chart and as a table."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from dans_app.server import inspecting
from dans_app.server.inspecting import Foremost
from dans_app.triplet import proposals
from dans_core import Config, KnowledgeGraph
from dans_lab.inspection import ProposalFigures
from dans_lab.runs.run import Run
from tests import small_run

screen = partial(small_run.screen, "triplet.py")
BRAZIL = {"head": "brazil", "relation": "embassy", "tail": "china"}
HEADING = "What the generator proposes"
FIGURES = [
    ProposalFigures("G_E", 12.34, 2.5, 0.2, 0.05),
    ProposalFigures("G_R", 5, 1.25, 0.41, -0.02),
    ProposalFigures("mixture", 13.9, 1.75, 0.3),
    ProposalFigures("random", 14.0, 3.0, 0.1),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    small_run.trained(folder, "proposing", reading="entities")
    small_run.trained(folder, "one-pathway", reading="entities", pathways="G_R")
    small_run.trained(folder, "fakes-as-negatives")
    return folder


@pytest.fixture(autouse=True)
def alone(trained, tmp_path, monkeypatch):
    small_run.only(trained, tmp_path, monkeypatch)


def headings(app) -> list[str]:
    return [heading.value for heading in app.header]


def plain(app) -> str:
    """What the screen says, without the marks of Markdown."""
    said = "\n".join(item.value for kind in ("markdown", "caption") for item in app.get(kind))
    return re.sub(r":(\w+)\[.\] |\\|\*\*", "", said)


def made_up(nations: KnowledgeGraph) -> tuple[Foremost, tuple[int, int, int]]:
    """Three entities of a query of Nations: a known tail, the answer, and one that is neither."""
    head, relation, answer = (int(i) for i in nations.array("test")[0])
    known = next(int(i) for ids in nations.answers(head, relation).values() for i in ids if i != answer)
    other = next(i for i in range(14) if nations.split_of(head, relation, i) is None)
    found = Foremost(
        np.array([known, answer, other]),
        {"G_E": np.array([0.5, 0.2, 0.1]), "G_R": np.array([0.3, 1e-9, 0.25])},
        np.array([0.4, 0.2, 0.1]),
        np.array([0.25, 0.5, 0.125]),
        np.array([0.6, 0.0, 0.3]),
        FIGURES,
    )
    return found, (head, relation, answer)


def test_the_figures_in_words_in_full():
    lines = [re.sub(r":\w+\[(.)\] |\\|\*\*", "", line) for line in proposals.lines(FIGURES, 14)]
    assert lines == [
        "Entities in even use: G_E 12.3, G_R 5.0, mixture 13.9 of 14, that is, as widely spread as an even choice "
        "among so many.",
        "KL from the decoder’s beliefs: G_E 2.50, G_R 1.25, mixture 1.75 (random: 3.00). How far a "
        "proposal is from what the decoder believes; the lower, the more alike.",
        "On known facts: G_E 20 %, G_R 41 %, mixture 30 % (random: 10 %). No fault: a good decoder believes facts, and "
        "a proposal follows it.",
        "What each pathway adds: G_E +0.05, G_R −0.02. By so much the KL of the mixture would grow without it; below 0 "
        "the mixture would be better without.",
    ]


def test_the_formula_is_that_of_the_run():
    both = Config(reading="entities", tau=0.05, random_share=0.5)
    assert proposals.formula(both).replace("\\", "").endswith("m = 0.25 q_E + 0.25 q_R + 0.5 / N.")
    assert "cos(fake, t) / 0.05" in proposals.formula(both)
    alone = Config(reading="entities", pathways="G_R", random_share=0.25)
    assert proposals.formula(alone).replace("\\", "").endswith("m = 0.75 q_R + 0.25 / N.")


def test_the_table_has_every_chance_in_per_cent_and_says_what_is_known(nations):
    found, query = made_up(nations)
    rows = proposals.table(found, nations, query)
    assert rows["entity"].tolist() == [nations.entities[entity] for entity in found.ids]
    assert rows["q_R"].tolist() == pytest.approx([30, 1e-7, 25])
    assert rows[["q_E", "m", "p", "weight"]].to_numpy().T.tolist() == [
        pytest.approx(values) for values in ([50, 20, 10], [40, 20, 10], [25, 50, 12.5], [60, 0, 30])
    ]
    known, answer, other = rows["known fact"]
    assert known in ("train", "valid", "test") and answer == "answer, test" and other == "no"
    assert set(rows) <= set(proposals.columns())


def test_a_row_of_the_chart_is_an_entity_and_what_is_nothing_is_not_drawn(nations):
    found, query = made_up(nations)
    chart = proposals.figure(found, nations, query)
    marks = {trace.name: trace for trace in chart.data}
    assert list(marks) == [
        "q of G_E",
        "q of G_R",
        "m, drawn from",
        "p, the decoder’s belief",
        "weight in the loss",
    ]
    assert list(marks["q of G_E"].y) == [2, 1, 0]
    for name, values in (("q of G_R", [0.3, np.nan, 0.25]), ("weight in the loss", [0.6, np.nan, 0.3])):
        assert list(marks[name].x) == pytest.approx(values, nan_ok=True)
    known, answer, other = chart.layout.yaxis.ticktext
    assert known.startswith("✓ ") and answer.startswith("<b>✓ ") and other[0] != "✓"
    low, high = 10 ** np.array(chart.layout.xaxis.range)
    assert low < 1 / 14 < 0.6 < high
    assert [shape.x0 for shape in chart.layout.shapes] == [1 / 14]
    assert "q of G_R: under 0.0001 %" in marks["q of G_R"].hovertext[1]
    assert proposals.alt(found, nations).endswith("a random entity has 7.1 %.")


def test_names_of_entities_are_only_text_in_the_chart(nations, monkeypatch):
    found, query = made_up(nations)
    names = list(nations.entities)
    names[found.ids[0]] = "<img src=x onerror=alert(1)>"
    monkeypatch.setattr(nations, "entities", names)
    chart = proposals.figure(found, nations, query)
    for text in (chart.layout.yaxis.ticktext[0], chart.data[0].hovertext[0]):
        assert "<img" not in text and "&lt;img" in text


def test_what_is_shown_is_what_the_networks_propose(trained, nations):
    app = screen(run="proposing", **BRAZIL)
    assert HEADING in headings(app) and not app.error and not app.exception
    query = (nations.entity_id("brazil"), nations.relation_id("embassy"), nations.entity_id("china"))
    found = inspecting.propose(Run(trained / "proposing"), nations, "best", query, 5, 0)
    assert proposals.lines(found.figures, 14)[1] in app.get("markdown")[-1].value
    rows = app.dataframe[1].value
    assert rows["m"].tolist() == pytest.approx((100 * found.mixed).tolist())
    assert rows["m"].is_monotonic_decreasing and rows["m"].sum() == pytest.approx(100), (
        "all 14 entities are shown"
    )
    assert rows.loc[rows["entity"] == "china", "weight"].tolist() == [0]
    assert proposals.alt(found, nations) in [chart.proto.alt for chart in app.get("plotly_chart")]
    assert "m = 0.25 q_E + 0.25 q_R + 0.5 / N" in plain(app)


def test_other_noise_proposes_something_else_and_both_sides_have_their_own():
    first, again, other = (
        screen(run="proposing", **BRAZIL, draw=draw).dataframe[1].value for draw in ("1", "1", "2")
    )
    assert first.equals(again) and not first.equals(other)
    both = screen(run="proposing", **BRAZIL, side="both")
    assert len(both.dataframe) == 3 and not both.dataframe[1].value.equals(both.dataframe[2].value)


def test_a_single_pathway_proposes_alone():
    app = screen(run="one-pathway", **BRAZIL)
    assert HEADING in headings(app)
    assert "q_E" not in app.dataframe[1].value and "q_R" in app.dataframe[1].value
    assert "G_E" not in plain(app).split("Entities in even use")[1]


def test_negatives_that_are_proposed_are_no_false_negatives_and_fakes_may_be():
    app = screen(run="fakes-as-negatives", **BRAZIL)
    assert HEADING not in headings(app) and len(app.dataframe) == 1
    assert "known fact of that split: a false negative." in plain(app)
    assert "known fact of that split." in plain(screen(run="proposing", **BRAZIL))
