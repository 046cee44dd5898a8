"""What a verdict rests on: a floor that knows nothing, and curves that still rise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dans_core.kg import KnowledgeGraph
from dans_lab.standing import is_near, is_rising, late_gain, why_withheld
from dans_lab.study.luck import luck
from dans_lab.study.tables import ResultTable, table
from dans_lab.study.words import sentences
from tests.study_samples import small_plan, write_study

RISING = [(epoch, 0.03 + 0.01 * epoch) for epoch in range(1, 101)]
FLAT = [(epoch, min(0.9, 0.03 * epoch)) for epoch in range(1, 101)]


@pytest.mark.parametrize(
    ("value", "floor", "near"),
    [(0.037, 0.027, True), (0.056, 0.027, False), (0.12, 0.027, False), (0.019, 0.027, True), (0.72, 0.661, True),
     (0.906, 0.661, False), (0.48, 0.55, True), (0.319, 0.25, False), (0.297, 0.25, True), (1.0, 0.99, False),
     (0.5, None, False), (0.0, 0.0, False)],
)  # fmt: skip
def test_near_the_floor_by_the_odds(value, floor, near):
    assert is_near(value, floor) == near


def test_a_curve_rises_by_what_its_last_quarter_brought():
    assert late_gain(RISING) == pytest.approx(0.25 / 1.03) and is_rising(late_gain(RISING))
    assert late_gain(FLAT) == 0.0 and not is_rising(0.0)
    assert late_gain([]) is None and late_gain([(10, 0.5)]) is None and not is_rising(None)
    assert late_gain([(1, 0.0), (10, 0.0)]) is None
    assert late_gain([(10, 0.5), (20, 0.4)]) == 0.0, "a fall is no gain"


def test_the_lead_that_turned_round_gets_no_verdict():
    """DANS was 0.003 ahead after 40 epochs, at 0.037 with a floor of 0.027, and far behind after 100."""
    rising = 0.2, 0.2
    assert why_withheld((0.034, 0.037), 0.027, rising, sure=True) == "near the floor"
    assert why_withheld((0.034, 0.037), None, rising, sure=True) == "still rising"
    assert why_withheld((0.120, 0.056), 0.027, rising, sure=True) is None
    assert why_withheld((0.120, 0.110), 0.027, rising, sure=True) == "still rising"
    assert why_withheld((0.120, 0.110), 0.027, rising, sure=False) is None, "no verdict to withhold"
    assert why_withheld((0.9, 0.91), 0.661, (0.001, None), sure=True) is None


def made(tmp_path, floor: float, courses: dict[str, list[tuple[int, float]]]) -> ResultTable:
    """A study in which uniform is plainly behind, over this floor, with these curves of valid."""
    plan = small_plan()
    study = write_study(tmp_path, plan, skill=lambda cell: -0.9 if cell.config.sampler == "uniform" else 0.0)
    records = {
        run: record.model_copy(
            update={
                "curves": {
                    "epoch": [float(epoch) for epoch, _ in courses[sampler]],
                    "valid_mrr": [value for _, value in courses[sampler]],
                }
            }
        )
        for run, record in study.records().items()
        for sampler in ("dans", "uniform", "popularity")
        if f"-{sampler}-" in run
    }
    return table(plan, plan.parts[0], records, floor={"mrr": floor})


def test_a_table_withholds_what_means_nothing(tmp_path):
    flat = dict.fromkeys(("dans", "uniform", "popularity"), FLAT)
    sound = made(tmp_path, 0.1, flat)
    assert {each.verdict for each in sound.comparisons} == {"worse", "cannot be told apart"}
    assert "floor" not in " ".join(sentences(sound)) and "rising" not in " ".join(sentences(sound))
    low = made(tmp_path, 0.661, flat)
    assert {each.verdict for each in low.comparisons} == {"near the floor"}
    text = " ".join(sentences(low))
    assert "better in 0, DANS in 0; 0 cannot be told apart, 4 without a verdict" in text
    assert "Near the popularity floor (MRR 0.661), which knows nothing: DANS with DistMult" in text
    assert "No verdict, near the floor: Uniform (" in text


def test_a_row_that_still_rises_is_named_and_a_small_lead_over_it_is_no_verdict(tmp_path):
    rising = made(tmp_path, 0.1, {"dans": FLAT, "uniform": RISING, "popularity": FLAT})
    text = " ".join(sentences(rising))
    assert (
        "Still rising at their end" in text
        and "Uniform with DistMult, Uniform with ComplEx. More epochs" in text
    )
    for each in rising.comparisons:
        if each.labels["sampler"] == "uniform":
            small = (
                abs(each.difference)
                < rising.entry(each.labels).late_gain * rising.entry(each.labels).spread("mrr").mean
            )
            assert each.verdict == ("still rising" if small else "worse")
        else:
            assert each.withheld is None
    assert replace(rising, floor=None).is_near_floor(rising.entries[0]) is False


def test_the_luck_of_seeds_is_that_of_the_graph_at_hand():
    umls, nations = (KnowledgeGraph.load(name).hash for name in ("umls", "nations"))
    found = luck(umls, "complex", "dans")
    assert found is not None and found.runs >= 5 and 0.85 < found.low < found.high < 0.95
    other = luck(nations, "complex", "dans")
    assert other is not None and other.high < 0.85 and other.study != found.study
    assert luck("0" * 64, "complex", "dans") is None and luck(umls, "complex", "mcns-of-none") is None
