"""What the Triplet screen is made of: words, cards, table, strip, the arithmetic, and how negatives moved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from dans_app.triplet import arithmetic
from dans_app.triplet import paths as triplet_paths
from dans_app.triplet import strip as triplet_strip
from dans_app.triplet import table as triplet_table
from dans_app.triplet.table import Shown, lanes
from dans_lab.inspection import Arithmetic, Inspection, Row
from dans_lab.runs.frames import Frame
from tests import small_run


def row(
    source: str,
    score: float,
    known: str | None = None,
    d_aux: float | None = 0.7,
    name: str = "x",
    draw: int = 0,
) -> Row:
    number = sum(map(ord, name))
    return Row(source, draw, name, number, 0.8, 1.1, score, None if d_aux is None else 0.4, d_aux, known)


def shown(*negatives: Row, positive: float = 0.0, run: str = "", side: str = "tail") -> Shown:
    return Shown(run, run or "DANS", side, 7, Inspection(row("positive", positive), negatives))


# --- words, table, picture


def test_a_card_counts_what_a_person_would_count():
    scores = ((-9, None), (1, "train"), (0.5, "test"), (-9, None), (-9, None))
    negatives = [row("G_R", score, known, draw=i) for i, (score, known) in enumerate(scores)]
    negatives += [row("random", score) for score in (0.7, -1, 2.5)]
    ours, random = lanes([shown(*negatives, positive=2.0)])
    assert [line.replace("**", "") for line in triplet_table.card(ours)] == [
        "0 of 5 outscore the positive",
        "0 outscore every random negative",
        "2 known facts (1 train, 1 test)",
        "`−1.00` ≈ x × 5 :violet-badge[✓ train]",
    ]
    assert [line.replace("**", "") for line in triplet_table.card(random)[:2]] == [
        "1 of 3 outscores the positive",
        "0 known facts",
    ]


def test_ties_count_half_and_are_said():
    lane, random = lanes([shown(row("G_R", 2.0), row("G_R", 1.0), row("random", 2.0), positive=2.0)])
    first, second, *_ = (line.replace("**", "") for line in triplet_table.card(lane))
    assert first == "0.5 of 2 outscore the positive (1 tie, which counts half)"
    assert second == "0.5 outscore every random negative (1 tie, which counts half)"
    assert triplet_table.headline([lane, random]) == (
        "**1** of the 3 negatives outscores its positive (2 ties, which count half); the hardest is ≈ x (G_R), level "
        "with its positive."
    )


def test_a_card_names_the_hardest_each_once():
    names = ("a", "b", "a", "c", "d", "b")
    negatives = [row("random", -i, name=name, draw=i) for i, name in enumerate(names)]
    (lane,) = lanes([shown(*negatives)])
    assert triplet_table.card(lane)[-3:] == ["`0.00` a × 2", "`−1.00` b × 2", "`−3.00` c"]


def test_the_headline_names_the_hardest_of_all_runs_against_its_own_positive():
    here = shown(row("G_E", 5.0, name="far"), positive=9.0)
    there = shown(row("random", -3.0, name="a*b"), positive=-2.5, run="other")
    sentence = triplet_table.headline(lanes([here, there]))
    assert sentence.startswith(
        "None of the 2 negatives outscores its positive; the hardest is a\\*b (Random, other)"
    )
    assert sentence.endswith("0.50 below its positive.")
    above = triplet_table.headline(lanes([shown(row("G_E", 1.0, name="near"), row("G_E", -1.0))]))
    assert (
        above
        == "**1** of the 2 negatives outscores its positive; the hardest is ≈ near (G_E), 1.00 above its positive."
    )
    assert triplet_table.hardest(lanes([here, there]))[1].nearest == "far"


@given(
    known=some.sets(some.integers(0, 19), max_size=19),
    answer=some.integers(0, 19),
)
def test_the_chance_of_a_random_fact_is_that_of_the_draw(known, answer):
    """`draw_uniform` draws among all entities but the answer."""
    line = triplet_table.answers_line(("h", "r", "t"), "tail", {"train": len(known)}, answer in known, 20)
    if not known:
        assert "no known tail" in line
        return
    chance = sum(entity in known for entity in range(20) if entity != answer) / 19
    assert f"**{chance:.0%}**".replace("%", " %") in line
    assert ("another of them" in line) == (answer in known)


def test_a_source_that_no_one_has_heard_of_is_shown_like_the_others():
    new = "SANS <b>*x*"
    negatives = (row("G_E", 1.0), row(new, 2.0, "valid", d_aux=None), row(new, 3.0, draw=1))
    ours = shown(*negatives)
    assert [lane.source for lane in lanes([ours])] == ["G_E", new]
    rows, names = triplet_table.table([ours])
    assert rows["source"].tolist() == ["Positive", "G_E", new, new]
    assert names == ["", "G_E.1", f"{new}.1", f"{new}.2"]
    figure = triplet_strip.strip(lanes([ours]))
    assert figure.layout.yaxis.ticktext == ("G_E", "SANS &lt;b&gt;*x*")
    assert [trace.name for trace in figure.data][-2:] == ["Fact of valid", "The positive"]
    assert "outscore" in triplet_table.card(lanes([ours])[1])[0]


def test_each_negative_has_one_token():
    parts = [
        shown(*(row(source, 0, draw=i) for source in ("G_E", "random") for i in range(3)), run=run, side=side)
        for run in ("", "head", "b-1")
        for side in ("tail", "head")
    ]
    known = triplet_table.tokens(lanes(parts))
    assert len(known) == 3 * 2 * 2 * 3
    assert {"G_E.1", "head.G_E.1", "b-1~random.3", "b-1~head.random.3"} <= set(known)


def test_d_aux_is_told_as_a_guess_and_only_of_fakes():
    sure, other, unsaid = (
        row("G_E", 0, d_aux=0.9),
        row("G_R", 0, d_aux=0.2),
        row("G_E", 0, d_aux=None, draw=1),
    )
    rows, _ = triplet_table.table([shown(sure, unsaid, other, row("random", 0, d_aux=0.2))])
    assert rows["D_aux"].tolist() == ["–", "G_R, 90 %", "–", "G_E, 80 %", "–"]


def test_the_strip_measures_each_run_from_its_own_positive_and_escapes_names():
    name = "<i>a&b</i>"
    sources = ("G_E", "G_R", "random")
    here = shown(*(row(source, i, name=name, draw=i) for source in sources for i in range(7)), positive=3.0)
    there = shown(*(row("random", i, name=name, draw=i) for i in range(2)), positive=-40.0, run="b-1")
    figure = triplet_strip.strip(lanes([here, there]))
    points = [trace for trace in figure.data if trace.customdata is not None]
    assert [len(trace.x) for trace in points] == [7, 7, 7, 2]
    assert points[0].x[0] == -3 and points[3].x[0] == 40
    for trace in points:
        assert all("&lt;i&gt;a&amp;b&lt;/i&gt;" in text and "<i>" not in text for text in trace.hovertext)
    assert "Random of b-1 from +40.0 to +41.0" in triplet_strip.alt(lanes([here, there]))


# --- the arithmetic


def sums(offset: float, positive: list, negative: list) -> Arithmetic:
    n = len(positive)
    numbers = np.arange(n) - 1j
    return Arithmetic(offset, numbers, numbers, numbers, numbers, np.array(positive), np.array(negative))


def test_the_terms_are_sorted_by_difference_and_end_in_the_scores():
    found = sums(12.0, [-1.0, -2.0, -3.0, -4.0], [-1.5, -2.0, -9.0, -3.0])
    assert arithmetic.order(found).tolist() == [2, 3, 0, 1]
    assert arithmetic.totals(found) == (2.0, -3.5)
    rows = arithmetic.table(found, largest=2)
    assert rows["coordinate"].tolist() == ["3", "4", "2 more", "γ", "score"]
    assert rows["term"].tolist() == [-3.0, -4.0, -3.0, 12.0, 2.0]
    assert rows["term of the negative"].tolist() == [-9.0, -3.0, -3.5, 12.0, -3.5]
    for column in ("term", "term of the negative"):
        assert rows[column][:-1].sum() == pytest.approx(rows[column].iloc[-1])
    assert len(arithmetic.table(found, None)) == 6
    figure = arithmetic.figure(found, triplet_table.look("G_E"), "G_E 1")
    running = [trace.y for trace in figure.data if trace.type == "scatter"]
    assert [line[0] for line in running] == [12, 12] and [line[-1] for line in running] == [2.0, -3.5]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float64(-0.5), "−0.50"),
        (complex(0.25, -1.5), "0.25 − 1.50i"),
        (complex(-2, 0.125), "−2.00 + 0.12i"),
    ],
)
def test_numbers_are_read_as_in_a_textbook(value, text):
    assert arithmetic.coordinate(value) == text


# --- how the negatives moved


def frames(kg, gan: bool = True) -> list[Frame]:
    return [
        Frame.of(small_run.arrays(kg, epoch, gan=gan), kg.num_entities, kg.num_relations) for epoch in (0, 5)
    ]


@pytest.mark.parametrize("gan", [True, False])
def test_the_moments_of_a_query_are_what_the_snapshot_says(nations, gan):
    frame = frames(nations, gan)[1]
    place = 17
    head, relation = frame.queries[place].tolist()
    found = {moment.source: moment for moment in triplet_paths.moments(frame, nations, head, relation)}
    assert list(found) == (["positive", "G_E", "G_R", "random"] if gan else ["positive", "random"])
    vectors = {"G_E": frame.fakes_e[head], "G_R": frame.fakes_r[place]} if gan else {}
    for source, vector in vectors.items():
        cosines = [
            float(vector @ entity / np.linalg.norm(vector) / np.linalg.norm(entity))
            for entity in frame.entities
        ]
        assert found[source].nearest == int(np.argmax(cosines))
        assert found[source].cosine == pytest.approx(max(cosines), abs=1e-5)
    for source, ids, scores in (
        ("positive", frame.answers, frame.score_true),
        ("random", frame.random, frame.score_random),
    ):
        assert (found[source].nearest, found[source].score) == (ids[place], scores[place])
    for moment in found.values():
        assert moment.epoch == 5 and moment.known == nations.split_of(head, relation, moment.nearest)
    if gan:
        assert (found["G_R"].score, found["G_R"].d_adv) == (frame.score_r[place], frame.d_fakes_r[place])
        assert found["G_E"].d_aux == pytest.approx(0.1, abs=1e-3)


def test_a_query_that_is_not_kept_gets_another_one_like_it(nations):
    frame = frames(nations)[0]
    kept = {tuple(query) for query in frame.queries.tolist()}
    missing = next(
        (h, r)
        for h in range(nations.num_entities)
        for r in range(2 * nations.num_relations)
        if (h, r) not in kept and r in frame.queries[:, 1]
    )
    assert triplet_paths.moments(frame, nations, *missing) == ()
    head, relation, answer = triplet_paths.kept(frame, *missing)
    assert relation == missing[1] and (head, relation) in kept
    assert answer == frame.answers[triplet_paths.place_of(frame, head, relation)]


@given(some.integers(1, 400))
def test_of_many_snapshots_some_are_read_with_both_ends(number):
    epochs = list(range(0, 10 * number, 10))
    read = triplet_paths.chosen(epochs)
    assert set(read) <= set(epochs) and read == sorted(set(read))
    assert (read[0], read[-1], len(read)) == (
        epochs[0],
        epochs[-1],
        min(number, triplet_paths.MOST_SNAPSHOTS),
    )


def test_the_bars_cover_the_epochs_and_change_with_the_nearest_entity(nations):
    def moment(epoch, nearest):
        return triplet_paths.Moment(
            epoch, "G_E", nearest, 0.5, 1.0, 0.5, 0.5, "train" if nearest == 3 else None
        )

    found = [moment(*pair) for pair in ((0, 1), (10, 1), (20, 3), (40, 1))]
    (bar,) = [trace for trace in triplet_paths.figure(found, nations, 5).data if trace.type == "bar"]
    assert bar.base.tolist() == [0, 15, 30] and (bar.base + bar.x).tolist() == [15, 30, 40]
    assert [text.startswith("✓ ") for text in bar.text] == [False, True, False]
    alone = triplet_paths.figure(found[:1], nations, 0)
    assert [trace.x.tolist() for trace in alone.data if trace.type == "bar"] == [[1.0]]
