"""Tables of a study against numbers computed by hand from its records, with runs that diverged or are missing."""

import numpy as np
import pytest

from dans_core.config import Config, choices
from dans_data.errors import InputError
from dans_data.metrics import TERMS
from dans_lab.names import DATASETS, DECODERS, METRICS, SAMPLERS, SAMPLERS_ABOUT
from dans_lab.study.statistics import crossed, holm
from dans_lab.study.tables import Spread, label, table, title
from tests.study_samples import small_plan, write_study

SKILL = {"uniform": 0.35, "popularity": -0.35}


def better_uniform(cell) -> float:
    return SKILL.get(cell.config.sampler, 0.0)


@pytest.fixture(scope="module")
def plan():
    return small_plan()


@pytest.fixture(scope="module")
def whole(plan, tmp_path_factory):
    study = write_study(tmp_path_factory.mktemp("whole"), plan, skill=better_uniform)
    return study.records()


def record_of(plan, records, sampler: str, decoder: str, seed: int):
    cell = plan.parts[0].cell({"sampler": sampler, "decoder": decoder})
    return records[plan.runs_of(cell)[plan.seeds.index(seed)]]


def metric_of(record, metric: str = "mrr") -> np.ndarray:
    return TERMS[metric](np.array(record.ranks) / 2)


# --- cells


@pytest.mark.parametrize("metric", TERMS)
def test_a_cell_is_the_mean_and_deviation_over_its_seeds(plan, whole, metric):
    found = table(plan, plan.parts[0], whole)
    assert len(found.entries) == 6 and not any(entry.missing for entry in found.entries)
    for entry in found.entries:
        records = [
            record_of(plan, whole, entry.labels["sampler"], entry.labels["decoder"], s) for s in (0, 1, 2)
        ]
        assert list(entry.records) == records
        values = [metric_of(record, metric).mean() for record in records]
        spread = entry.spread(metric)
        mean = sum(values) / 3
        assert spread.mean == pytest.approx(mean) and spread.count == 3
        assert spread.sd == pytest.approx((sum((value - mean) ** 2 for value in values) / 2) ** 0.5)
        assert entry.spread(metric, "valid").mean != spread.mean
        assert entry.seconds.mean == pytest.approx(sum(record.seconds for record in records) / 3)
        swings = [record.figures["oscillation"] for record in records]
        assert entry.figure("oscillation").mean == pytest.approx(sum(swings) / 3)


def test_runs_that_diverged_or_are_missing_are_counted_and_in_no_mean(plan, tmp_path):
    cell = plan.parts[0].cell({"sampler": "uniform", "decoder": "complex"})
    diverged, absent, left = plan.runs_of(cell)
    alone = plan.parts[0].cell({"sampler": "popularity", "decoder": "distmult"})
    study = write_study(tmp_path, plan, missing={absent}, failed={diverged, *plan.runs_of(alone)})
    records = study.records()
    found = table(plan, plan.parts[0], records)
    entry = found.entry({"decoder": "complex", "sampler": "uniform"})
    assert [record.run for record in entry.records] == [left]
    assert [record.run for record in entry.failed] == [diverged] and entry.missing == 1
    assert entry.spread("mrr") == Spread(pytest.approx(records[left].test["mrr"]), None, 1)
    compared = found.comparison(entry.labels)
    assert compared.seeds == 1
    reference = metric_of(record_of(plan, records, "dans", "complex", 2))
    assert compared.difference == pytest.approx((metric_of(records[left]) - reference).mean())
    gone = found.entry({"sampler": "popularity", "decoder": "distmult"})
    assert gone.spread("mrr") is None and gone.seconds is None and len(gone.failed) == 3 and gone.missing == 0
    assert found.comparison(gone.labels) is None and len(found.comparisons) == 3
    with pytest.raises(KeyError):
        found.entry({"sampler": "uniform", "decoder": "rotate"})


def test_a_study_without_records_is_a_table_of_nothing(plan):
    found = table(plan, plan.parts[0], {})
    assert found.comparisons == ()
    assert all(entry.missing == 3 and entry.spread("mrr") is None for entry in found.entries)


# --- comparisons


@pytest.mark.parametrize("metric", ["mrr", "hits_at_1"])
def test_a_comparison_is_row_less_reference_paired_by_seed_and_corrected_for_the_table(plan, whole, metric):
    found = table(plan, plan.parts[0], whole, metric)
    assert [(each.labels["sampler"], each.labels["decoder"]) for each in found.comparisons] == [
        (sampler, decoder) for sampler in ("uniform", "popularity") for decoder in ("distmult", "complex")
    ]
    p = []
    for each in found.comparisons:
        decoder = each.labels["decoder"]
        of_row, of_reference = (
            np.stack(
                [metric_of(record_of(plan, whole, sampler, decoder, seed), metric) for seed in (0, 1, 2)]
            )
            for sampler in (each.labels["sampler"], "dans")
        )
        expected = crossed(of_reference, of_row)
        assert each.difference == pytest.approx(of_row.mean() - of_reference.mean())
        assert (each.low, each.high, each.p) == (expected.low, expected.high, expected.p)
        assert (each.seeds, each.queries, each.reference, each.metric) == (3, 120, "dans", metric)
        p.append(expected.p)
    assert [each.corrected for each in found.comparisons] == holm(p)


def test_the_verdict_is_that_of_the_corrected_p_value(plan, whole):
    found = table(plan, plan.parts[0], whole)
    for each in found.comparisons:
        if each.corrected < 0.05:
            assert each.verdict == ("better" if each.labels["sampler"] == "uniform" else "worse")
        else:
            assert each.verdict == "cannot be told apart"
    assert {each.verdict for each in found.comparisons} >= {"better", "worse"}


def test_only_seeds_that_both_have_are_compared(plan, tmp_path):
    first = plan.runs_of(plan.parts[0].cell({"sampler": "dans", "decoder": "complex"}))[0]
    last = plan.runs_of(plan.parts[0].cell({"sampler": "uniform", "decoder": "complex"}))[2]
    records = write_study(tmp_path, plan, missing={first, last}).records()
    compared = table(plan, plan.parts[0], records).comparison({"sampler": "uniform", "decoder": "complex"})
    row, reference = (record_of(plan, records, sampler, "complex", 1) for sampler in ("uniform", "dans"))
    assert compared.seeds == 1
    assert compared.difference == pytest.approx(row.test["mrr"] - reference.test["mrr"])


def test_a_metric_that_there_is_not_is_refused(plan, whole):
    with pytest.raises(InputError, match=r"metric = 'mmr': must be one of mrr, hits_at_1"):
        table(plan, plan.parts[0], whole, "mmr")


def test_ranks_that_cannot_be_of_one_test_split_are_refused(plan, whole):
    run = next(iter(whole))
    shorter = whole[run].model_copy(update={"ranks": whole[run].ranks[:-1]})
    with pytest.raises(InputError, match=f"not of the same triplets: {run} has 59 and"):
        table(plan, plan.parts[0], {**whole, run: shorter})
    nothing = whole[run].model_copy(update={"ranks": [(0, 2)] * 60})
    with pytest.raises(InputError, match=f"run {run} has a rank below 1"):
        table(plan, plan.parts[0], {**whole, run: nothing})


def test_runs_without_test_ranks_are_shown_and_not_compared(plan, whole):
    bare = {run: record.model_copy(update={"ranks": []}) for run, record in whole.items()}
    found = table(plan, plan.parts[0], bare)
    assert found.comparisons == () and found.entries[0].spread("mrr").count == 3


# --- words


@pytest.mark.parametrize(
    ("axis", "value", "shown"),
    [
        ("sampler", "dans", "DANS"),
        ("sampler", "smile-style", "SMiLE-style"),
        ("decoder", "complex", "ComplEx"),
        ("variant", "no FiLM", "no FiLM"),
        ("film_weight", 1e-4, "1e-4"),
        ("film_weight", 2.5e-5, "2.5e-5"),
        ("sigma", 1.0, "1"),
        ("sigma", 0.05, "0.05"),
        ("sigma", 0.0, "0"),
        ("epochs", 5000, "5,000"),
        ("random_negatives", False, "off"),
    ],
)
def test_values_are_short(axis, value, shown):
    assert label(axis, value) == shown


def test_axes_have_the_titles_of_their_settings():
    assert title("negatives") == Config.model_fields["negatives"].title
    assert title("variant") == "Variant"


def test_every_choice_has_a_name_and_every_sampler_a_sentence():
    assert tuple(SAMPLERS) == tuple(SAMPLERS_ABOUT) == choices("sampler")
    assert tuple(DECODERS) == choices("decoder")
    assert list(METRICS) == list(TERMS)
    assert all(about.endswith(".") for about in SAMPLERS_ABOUT.values())
    assert {"umls", "wn18rr", "nell-995"} <= set(DATASETS)
