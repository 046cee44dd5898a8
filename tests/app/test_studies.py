"""The Studies screen without a browser: each kind of table, what is damaged or missing, and what an address may ask."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dans_app.studies import data as study_data
from dans_app.studies import figures as study_figures
from dans_app.studies import files as study_files
from dans_app.studies import learning as study_learning
from dans_app.studies import lines as study_lines
from dans_app.studies import strata as study_strata
from dans_app.studies import table as study_table
from dans_app.studies import words as study_words
from dans_core.config import Config
from dans_lab.cli import main
from dans_lab.names import DATASETS
from dans_lab.runs.records import replace, to_json
from dans_lab.runs.run import Run
from dans_lab.runs.writer import RunWriter
from dans_lab.study.folder import Study
from dans_lab.study.markup import markdown_text
from dans_lab.study.plan import Plan
from dans_lab.study.report import markdown, read_study
from dans_lab.study.words import sentences
from tests import small_run
from tests.study_samples import EQUAL_TIME, small_plan, write_study

HOSTILE = "<img src=x onerror=alert(1)> [a](javascript:b) :material/bolt:"

LINES = """
title = "Settings"
dataset = "nations"
seeds = 2
[settings]
epochs = 40
decoder = "complex"
[[part]]
title = "Noise"
grid = { sigma = [0.01, 0.1, 1.0] }
table = { reference = 0.1, figure = "line" }
[[part]]
title = "Negatives"
grid = { negatives = [5, 10, 20] }
table = { reference = 10, figure = "line" }
"""

STABILITY = """
title = "Stability"
dataset = "nations"
seeds = 2
[settings]
epochs = 40
[table]
rows = "variant"
reference = "1 : 1"
figure = "stability"
[[variant]]
name = "1 : 1"
[[variant]]
name = "1 : 5"
k_g = 5
[[variant]]
name = "uniform"
sampler = "uniform"
"""


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch) -> Path:
    """A runs folder with nothing in it, and no studies that come with the program."""
    return small_run.nothing(tmp_path, monkeypatch)


screen = partial(small_run.screen, "studies.py")


def skill(cell) -> float:
    """DANS is much better than uniform, and popularity as good."""
    return -0.9 if cell.config.sampler == "uniform" else 0.0


def small(root: Path, name: str = "small", **options) -> Plan:
    plan = small_plan(name=name)
    write_study(root / "studies", plan, skill=skill, **options)
    return plan


def run_id(plan: Plan, sampler: str, decoder: str, seed: int) -> str:
    return plan.runs_of(plan.parts[0].cell({"sampler": sampler, "decoder": decoder}))[seed]


def make_run(root: Path, plan: Plan, run: str, state: str = "finished") -> Run:
    config = next(planned.config for planned in plan.jobs if planned.run == run)
    with RunWriter.create(root, run, config, "nations", "0" * 64, "nations", study=plan.name) as writer:
        writer.write_status(state, epoch=40)
        return writer.run


def words(app: AppTest) -> str:
    kinds = ("markdown", "caption", "info", "warning", "error", "header", "code")
    text = "\n".join(item.value for kind in kinds for item in app.get(kind))
    return re.sub(r"\\(.)", r"\1", text).replace("**", "")


def asked(app: AppTest, name: str) -> str | None:
    value = app.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def charts(app: AppTest) -> dict[str, dict]:
    return {json.loads(c.proto.config)["toImageButtonOptions"]["filename"]: json.loads(c.proto.spec)
            for c in app.get("plotly_chart")}  # fmt: skip


def loaded(key: str = "small") -> study_data.Loaded:
    return study_data.load(study_data.listing().studies[key])


# --- none, and which


def test_without_a_study_the_screen_says_how_to_start_one(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("DANS_CACHE_DIR", str(cache))
    monkeypatch.delenv("DANS_DATA_DIR", raising=False)
    text = words(screen())
    assert "There is no study yet" in text
    for plan in study_data.shipped_plans():
        assert f"python -m dans_core study {plan.name}" in text
        assert plan.question in text and f"{len(plan.jobs):,} runs on {DATASETS[plan.dataset]}, " in text
    for name in ("umls", "wn18rr"):
        said = [line for line in text.splitlines() if f" runs on {DATASETS[name]}, " in line]
        rest = "on this machine]" if name == "umls" else ", which is downloaded first (3 MB)]"
        assert said and all(line.endswith(rest) for line in said)
    assert not list(cache.rglob("train.txt")), "no list is worth a download"
    assert study_data.shipped_plans()[0].name == "main"


def test_the_first_whole_study_is_shown_and_the_address_keeps_the_choice(root):
    plan = small(root, "a-half", missing=[run_id(small_plan(name="a-half"), "dans", "complex", 2)])
    small(root, "b-whole")
    app = screen()
    assert asked(app, "study") == "b-whole"
    box = app.selectbox[0]
    assert [line.split(" · ")[:3] for line in box.options] == [
        ["Small study", "Nations", f"{len(plan.jobs) - 1} of {len(plan.jobs)} runs"],
        ["Small study", "Nations", f"{len(plan.jobs)} runs"],
    ]
    box.set_value("a-half").run()
    assert asked(app, "study") == "a-half" and not app.exception


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"study": "gone"}, "There is no study “gone” on this machine; another is shown instead."),
        ({"study": HOSTILE}, "There is no study “<img src=x onerror=alert(1)>"),
        ({"study": "x" * 9000}, "There is no study “xxxxx"),
        ({"metric": "mrr'"}, "The address asks for metric “mrr'”; it can be mrr or hits_at_1"),
        ({"split": "train"}, "The address asks for split “train”; it can be test or seen or valid."),
        (
            {"column": "../.."},
            "asks for column “../..”, which this study does not have; “distmult” is shown instead.",
        ),
        ({"row": HOSTILE}, "The address asks for row “<img"),
        ({"seed": "-1"}, "asks for seed “-1”, which this study does not have; “0” is shown instead."),
        ({"part": "2"}, "asks for part “2”, which this study does not have; “1” is shown instead."),
    ],
)
def test_a_hostile_address_gets_one_sentence(root, query, said):
    small(root)
    app = screen(**query)
    (warning,) = app.warning
    assert re.sub(r"\\(.)", r"\1", warning.value).find(said) >= 0
    assert not re.search(r"(?<!\\)[<\[]", warning.value) and len(warning.value) < 400
    assert "MRR on test" in words(app)


def test_names_of_a_file_mean_nothing_in_markdown(root):
    text = small_plan().text.replace("Small study", HOSTILE).replace("Which negatives", HOSTILE)
    plan = small_plan(text)
    write_study(root / "studies", plan, missing=[planned.run for planned in plan.jobs[3:]])
    app = screen()
    for item in [*app.markdown, *app.header, *app.caption]:
        assert not re.search(r"(?<!\\)<img|(?<!\\)\[a\]|:material/bolt", item.value)


# --- a table


def test_a_table_says_means_differences_and_verdicts(root):
    small(root)
    view = study_data.view(loaded(), 0, "mrr")
    data = study_words.table_data(view, list(view.rows), "mrr", "test", "0.161", ("dans", ("complex",)))
    assert data["columns"] == ["DistMult", "ComplEx"] and data["corner"] == "Negatives"
    dans, uniform, popularity = data["rows"]
    assert dans["reference"] and dans["name"] == "DANS" and "GAN" in dans["about"]
    assert [cell["mark"] for cell in dans["cells"]] == ["", ""]
    assert [cell["mark"] for cell in uniform["cells"]] == ["▼", "▼"]
    assert [cell["mark"] for cell in popularity["cells"]] == ["○", "○"]
    found = view.comparisons["uniform", ("complex",)]
    spread = view.entries["uniform", ("complex",)].spread("mrr")
    words_of = uniform["cells"][1]["words"]
    assert words_of.startswith(
        f"Uniform, ComplEx: MRR {spread.mean:.3f} ± {spread.sd:.3f} on test, over 3 seeds; "
    )
    assert f"{-found.difference:.3f} lower than DANS (95 %: {-found.high:.3f} … {-found.low:.3f})" in words_of
    assert words_of.endswith("over 3 seeds: worse.") and data["chosen"] == dans["cells"][1]["id"]
    assert data["floor"] == "0.161"
    on_valid = study_words.table_data(view, list(view.rows), "mrr", "valid", None, None)
    assert {cell["mark"] for row in on_valid["rows"] for cell in row["cells"]} == {""}


def test_rows_are_ordered_by_value_with_those_without_runs_last(root):
    plan = small_plan()
    cells = (
        plan.parts[0].cell({"sampler": "dans", "decoder": decoder}) for decoder in ("distmult", "complex")
    )
    failed = [run for cell in cells for run in plan.runs_of(cell)]
    small(root, failed=failed)
    view = study_data.view(loaded(), 0, "mrr")
    assert study_words.ordered(view, True, "mrr", "test") == ["popularity", "uniform", "dans"]
    assert study_words.ordered(view, False, "mrr", "test") == ["dans", "uniform", "popularity"]
    text = words(screen())
    assert "6 runs diverged and are in no mean" in text and "the base loss is not finite at epoch 7" in text
    assert "DANS, the reference, has no finished run" in text and not screen().error


def test_the_screen_says_what_the_report_says(root):
    plan = small_plan()
    gone = [run_id(plan, "uniform", "complex", seed) for seed in (0, 1)]
    small(root, failed=gone[:1], missing=gone[1:])
    read = read_study(Study(root / "studies" / "small"))
    report, text = markdown(read), words(screen())
    said = sentences(read.tables[0])
    assert len(said) > 4 and all(f"- {markdown_text(sentence)}\n" in report for sentence in said)
    assert all(sentence in text for sentence in said)
    ran = study_words.ran_on(loaded())
    assert len(ran) > 6 and all(f"- {markdown_text(fact)}\n" in report for fact in ran)


def test_the_screen_of_a_table_has_a_chart_for_every_question(root):
    small(root)
    app = screen(metric="hits_at_10", column="complex", row="uniform", seed="2")
    assert not app.warning and not app.error
    drawn = charts(app)
    assert list(drawn) == [
        "against-dans-distmult", "against-dans-complex", "every-run", "valid-mrr-by-epoch", "quality-against-time",
    ]  # fmt: skip
    assert drawn["against-dans-complex"]["layout"]["xaxis"]["title"]["text"] == "H@10 above DANS"
    assert drawn["every-run"]["layout"]["xaxis"]["title"]["text"] == "H@10 on test"
    assert "Runs of Uniform, ComplEx" in words(app)
    assert all(chart.proto.alt for chart in app.get("plotly_chart") if hasattr(chart.proto, "alt"))
    app.segmented_control(key="studies_metric").set_value("mrr").run()
    app.segmented_control(key="studies_order").set_value("value").run()
    assert asked(app, "metric") is None and asked(app, "order") == "value" and asked(app, "row") == "uniform"
    app.selectbox(key="studies_row").set_value("popularity").run()
    assert asked(app, "row") == "popularity" and "Runs of Popularity, ComplEx" in words(app)


def test_a_forest_has_every_comparison_once_and_keeps_what_is_far_at_the_edge(root):
    plan = small_plan()
    write_study(
        root / "studies",
        plan,
        skill=lambda cell: {"uniform": -4.0, "popularity": 0.01}.get(cell.config.sampler, 0),
    )
    view = study_data.view(loaded(), 0, "mrr")
    far = {key for key, found in view.comparisons.items() if found.difference < study_figures.reach(view)[0]}
    wide = study_figures.forest(view, ("complex",), view.rows, (-2.0, 2.0))
    points = {x: height for trace in wide.data for x, height in zip(trace.x, trace.y, strict=True)}
    expected = {found.difference: -place for place, row in enumerate(("uniform", "popularity"))
                if (found := view.comparisons[row, ("complex",)])}  # fmt: skip
    assert points == expected
    narrow = (-0.05, 0.05)
    edge = study_figures.forest(view, ("complex",), view.rows, narrow)
    assert min(x for trace in edge.data for x in trace.x) == narrow[0]
    assert any("off the scale" in note.text for note in edge.layout.annotations)
    assert far <= set(view.comparisons)
    alt = study_figures.forest_alt(view, ("complex",), view.rows)
    assert "Uniform −" in alt and "worse" in alt


def test_every_dot_of_the_strip_is_a_run_with_its_metric(root):
    small(root)
    study = loaded()
    view = study_data.view(study, 0, "mrr")
    figure = study_figures.strip(view, ("complex",), view.rows, "hits_at_1", "valid", None, ("uniform", 1))
    dots = {custom[0]: x for trace in figure.data if trace.customdata is not None
            for x, custom in zip(trace.x, trace.customdata, strict=True)}  # fmt: skip
    runs = [run for row in view.rows for run in view.runs_of(row, ("complex",))]
    assert dots == {run: study.records[run].valid["hits_at_1"] for run in runs}
    rings = [trace for trace in figure.data if trace.marker.symbol == "circle-open"]
    assert [trace.x[0] for trace in rings] == [dots[view.runs_of("uniform", ("complex",))[1]]]


def test_the_median_of_curves_is_that_of_the_runs_that_go_so_far(root):
    small(root)
    records = [record for record in loaded().records.values()][:3]
    short = records[0].model_copy(update={"curves": {"epoch": [2.0, 4.0], "valid_mrr": [0.1, None]}})
    epochs, values = study_learning.median([short, *records[1:]], "valid_mrr")
    for epoch, value in zip(epochs, values, strict=True):
        there = [m for r in [short, *records[1:]] for e, m in zip(r.curves["epoch"], r.curves["valid_mrr"], strict=True)
                 if e == epoch and m is not None]  # fmt: skip
        assert value == pytest.approx(np.median(there))
    assert study_learning.median([], "valid_mrr")[0].size == 0


# --- unseen entities, and equal time


def equal_time(root: Path, **options) -> Plan:
    """A study at equal time whose test has unseen entities; uniform negatives are better on the seen triplets."""
    plan = small_plan(EQUAL_TIME, "equal")
    seen = "".join("01"[number % 5 > 0] for number in range(120))
    better = {"uniform": 0.5}
    options = {"seen": seen, "epoch_seconds": lambda cell: 600 / cell.config.epochs} | options
    write_study(
        root / "studies",
        plan,
        triplets=120,
        skill=lambda cell: better.get(cell.config.sampler, 0.0),
        **options,
    )
    return plan


def test_each_cell_has_the_metric_on_the_seen_triplets_too(root):
    equal_time(root)
    study = loaded("equal")
    view, seen = (study_data.view(study, 0, "hits_at_10", seen=each) for each in (False, True))
    floor = study_words.floor_words(study.meta, "hits_at_10", view, "test")
    data = study_words.table_data(view, list(view.rows), "hits_at_10", "test", floor, None, seen)
    for row, line in zip(view.rows, data["rows"], strict=True):
        (cell,) = line["cells"]
        own, over_seen = (each.entries[row, ()].spread("hits_at_10") for each in (view, seen))
        assert cell["mean"] == f"{own.mean:.3f}" and cell["seen"].startswith(f"seen {over_seen.mean:.3f}")
        assert over_seen.mean > own.mean + 0.1
        assert f"On seen test triplets {over_seen.mean:.3f} ± " in cell["words"]
    assert data["rows"][1]["cells"][0]["seen"].endswith("▲") and data["floor"] == "0.310 (seen 0.372)"
    entry = view.entries[view.rows[1], ()]
    minutes = (entry.trained or entry.seconds).mean / 60
    assert 9 < minutes < 11
    assert [line["spent"] for line in data["rows"]][1] == f"200 epochs, {minutes:.1f} minutes of training"


def test_the_screen_can_be_of_the_seen_triplets_alone(root):
    equal_time(root)
    app = screen()
    text = words(app)
    assert "24 of 120 test triplets have one. Figures are over all test triplets" in text
    assert "where they say “seen”, over the other 96." in text
    assert "Training budget: Each run may train for about a minute" in text
    assert "Over the 96 seen test triplets alone the verdicts are" in text
    assert app.segmented_control(key="studies_split").options == ["Test", "Test, seen", "Valid"]
    app.segmented_control(key="studies_split").set_value("seen").run()
    assert asked(app, "split") == "seen" and not app.warning and not app.exception
    assert "MRR on seen test triplets" in words(app)
    assert charts(app)["every-run"]["layout"]["xaxis"]["title"]["text"] == "MRR on seen test triplets"

    app.segmented_control(key="studies_split").set_value("valid").run()
    assert "MRR on valid" in words(app) and "seen test triplets" not in app.header[1].value


def test_without_unseen_entities_there_is_nothing_to_choose(root):
    small(root)
    app = screen(split="seen")
    (warning,) = app.warning
    assert warning.value.startswith("The address asks for the seen test triplets; train shows")
    assert (
        app.segmented_control(key="studies_split").options == ["Test", "Valid"]
        and asked(app, "split") is None
    )
    assert "MRR on test" in words(app) and "seen test triplets" not in words(app).replace(warning.value, "")


def test_marks_that_do_not_fit_the_ranks_are_told(root):
    plan = equal_time(root)
    about = root / "studies" / plan.name / "study.json"
    about.write_text(json.dumps(json.loads(about.read_text()) | {"seen": "01"}))
    (error,) = screen().error
    assert "study.json tells of 2 test triplets, but run equal-complex-" in error.value.replace("\\", "")


def test_learning_can_be_drawn_over_time_with_every_seed(root):
    plan = equal_time(root)
    app = screen(by="time")
    assert not app.warning and asked(app, "by") == "time"
    curve = charts(app)["valid-mrr-by-training-time"]
    assert curve["layout"]["xaxis"]["title"]["text"] == "training time of a run, minutes"
    assert len(curve["data"]) == 3 * (3 + 1), "three seeds and their median, for each of three rows"
    view = study_data.view(loaded("equal"), 0, "mrr")
    scale = study_learning.scales(view, (), view.rows)["time"]
    records = view.entries["DANS", ()].records
    times, values = scale.middle(records)
    ends = sorted(record.curves["seconds"][-1] for record in records)
    assert times[-1] * 60 == pytest.approx(ends[1]) and np.all(np.diff(times) > 0)
    assert values[-1] == pytest.approx(np.median([record.curves["valid_mrr"][-1] for record in records]))
    app.segmented_control(key="studies_by").set_value("epochs").run()
    assert asked(app, "by") is None and "valid-mrr-by-epoch" in charts(app)
    write_study(root / "studies", small_plan(name="before"))
    app = screen(study="before", by="time")
    assert "asks for by “time”, which this study does not have" in app.warning[0].value
    assert plan.budget not in words(app)


# --- a setting, and stability


def test_parts_with_a_line_share_one_axis_and_choose_a_table(root):
    plan = small_plan(LINES, "lines")
    write_study(root / "studies", plan)
    app = screen(part="2")
    drawn = charts(app)
    assert list(drawn)[:2] == ["noise", "negatives"]
    noise, negatives = drawn["noise"]["layout"], drawn["negatives"]["layout"]
    assert noise["yaxis"]["range"] == negatives["yaxis"]["range"]
    assert noise["xaxis"]["type"] == "log" and negatives["xaxis"]["type"] == "linear"
    assert noise["xaxis"]["tickvals"] == [0.01, 0.1, 1.0]
    assert "Negatives: MRR on test" in words(app) and asked(app, "part") == "2"
    app.segmented_control(key="studies_part").set_value("1").run()
    assert "Noise: MRR on test" in words(app) and asked(app, "part") is None and not app.warning


def test_words_stand_in_a_row_where_the_values_are_no_numbers(root):
    plan = small_plan(STABILITY.replace('figure = "stability"', 'figure = "line"'), "names")
    write_study(root / "studies", plan)
    view = study_data.view(loaded("names"), 0, "mrr")
    assert not study_lines.is_numeric(view)
    figure = study_lines.line(view, "mrr", "test", None)
    assert list(figure.layout.xaxis.tickvals) == [0, 1, 2] and figure.layout.xaxis.ticktext[1] == "1 : 5"


def test_stability_draws_every_run_of_every_cell_on_one_axis(root):
    plan = small_plan(STABILITY, "steps")
    write_study(root / "studies", plan)
    app = screen()
    drawn = charts(app)
    cells = {name: spec for name, spec in drawn.items() if name.startswith("valid-mrr-")}
    assert len(cells) == 3 and len({tuple(spec["layout"]["yaxis"]["range"]) for spec in cells.values()}) == 1
    assert all(len(spec["data"]) == 3 for spec in cells.values()), "two runs and their median"
    assert {"oscillation", "collapse", "epochs-to-level", "d-s-lead"} <= drawn.keys()
    app.segmented_control(key="studies_curve").set_value("l_g").run()
    assert asked(app, "curve") == "l_g"
    losses = {name: spec for name, spec in charts(app).items() if name.startswith("l_g-")}
    assert sorted(len(spec["data"]) for spec in losses.values()) == [0, 6, 6], "uniform has no generator"


# --- unfinished, damaged, shipped


def test_an_unfinished_study_says_what_is_there_what_trains_and_what_is_left(root):
    plan = small_plan()
    missing = [run_id(plan, "dans", "complex", seed) for seed in (1, 2)]
    small(root, missing=missing)
    text = words(screen(row="dans", column="complex", seed="1"))
    assert "python -m dans_core study small" in text and "2 runs of this table are not there yet." in text
    assert "This run has not been trained yet" in text and "2 of 3 runs" not in text
    study = loaded()
    done = study.records[run_id(plan, "dans", "complex", 0)].seconds
    assert study_data.seconds_left(study, 1) == pytest.approx(2 * done)
    assert study_data.seconds_left(study, 2) == pytest.approx(done)
    config = next(planned.config for planned in plan.jobs if planned.run == missing[0])
    with RunWriter.create(root, missing[0], config, "nations", "0" * 64, "nations", study="small") as writer:
        writer.write_status("running", epoch=7)
        assert [run.id for run in study_data.going(study)] == missing[:1]
        assert "DANS · ComplEx · seed 1: epoch 7 of 40" in words(screen())
        now = study_data.Conducted("training", "terminal", 2)
        assert "s left" in study_words.progress(study, now, study_data.going(study), 2 * done)


def test_a_new_record_is_another_state_and_only_it_is_read(root, monkeypatch):
    plan = small_plan()
    small(root, missing=[plan.jobs[-1].run])
    before = loaded()
    assert loaded().stamp == before.stamp and study_data.view(before, 0, "mrr") is study_data.view(
        loaded(), 0, "mrr"
    )
    read: list[str] = []
    real = study_data._record
    monkeypatch.setattr(study_data, "_record", lambda file: read.append(file.stem) or real(file))
    record = before.records[plan.jobs[0].run].model_copy(update={"run": plan.jobs[-1].run})
    replace(root / "studies" / "small" / "records" / f"{plan.jobs[-1].run}.json", to_json(record))
    after = loaded()
    assert after.stamp != before.stamp and not after.left and read == [plan.jobs[-1].run]


def test_damage_gets_a_sentence_and_the_rest_is_shown(root):
    plan = small(root)
    bad = root / "studies" / "broken"
    bad.mkdir()
    (bad / "study.toml").write_text("title = 3\n")
    record = root / "studies" / "small" / "records" / f"{plan.jobs[0].run}.json"
    record.write_text('{"run": 1}')
    (root / "studies" / "small" / "study.json").write_text("[]")
    app = screen()
    text = words(app)
    assert "Study “broken” cannot be read:" in text and "title: input should be a valid string" in text
    assert f"The record of {plan.jobs[0].run} cannot be read and is left out" in text
    assert "What it ran on is not known" in text and "MRR on test" in text
    assert "Study “broken” cannot be read" in screen(study="broken").warning[0].value.replace("\\", "")


def test_ranks_of_different_triplets_are_told(root):
    plan = small(root)
    file = root / "studies" / "small" / "records" / f"{plan.jobs[0].run}.json"
    record = json.loads(file.read_text())
    record["ranks"] = record["ranks"][:10]
    file.write_text(json.dumps(record))
    (error,) = screen().error
    assert error.value.startswith("This study cannot be shown") and "not of the same triplets" in error.value


def test_a_shipped_study_says_how_to_repeat_a_run(root, tmp_path):
    plan = small_plan()
    study = write_study(tmp_path / "results" / "nations", plan, skill=skill)
    with zipfile.ZipFile(study.path / "records.zip", "w") as packed:
        for file in (study.path / "records").iterdir():
            packed.write(file, file.name)
    shutil.rmtree(study.path / "records")
    app = screen(row="uniform", seed="1")
    assert asked(app, "study") == "nations/small" and "comes with the app" in app.selectbox[0].options[0]
    text = words(app)
    assert "The runs of this study are not shipped with the app" in text
    assert (
        "python -m dans_core train --dataset nations --decoder distmult --sampler uniform --epochs 40 --seed 1"
        in text
    )
    by_name = screen(study="small")
    assert asked(by_name, "study") == "nations/small" and not by_name.warning
    small(root, "small")
    assert set(study_data.listing().studies) == {"small", "nations/small"}
    (study.path / "records.zip").write_bytes(b"no zip")
    st.cache_resource.clear()
    assert "cannot be read" in words(screen(study="nations/small"))


# --- runs of a study


def test_a_run_of_a_cell_is_opened_and_compared_with_the_reference(root):
    plan = small(root)
    ids = {name: run_id(plan, name, "distmult", 1) for name in ("dans", "uniform")}
    make_run(root, plan, ids["uniform"])
    app = screen(row="uniform", seed="1")
    keys = {button.key: button for button in app.button}
    assert {
        "studies_to_Train",
        "studies_to_Map",
        "studies_to_Triplet",
        "studies_to_Diagnostics",
    } <= keys.keys()
    assert keys["studies_to_Compare"].disabled, "the run of the reference is gone"
    make_run(root, plan, ids["dans"])
    app = screen(row="uniform", seed="1")
    assert not {button.key: button for button in app.button}["studies_to_Compare"].disabled
    table = app.dataframe[0].value
    assert table["Run"].tolist() == list(
        plan.runs_of(plan.parts[0].cell({"sampler": "uniform", "decoder": "distmult"}))
    )
    app = screen(row="dans", seed="1")
    assert "studies_to_Compare" not in {button.key for button in app.button}


@pytest.mark.parametrize("picked", [None, 3, "1", "1.2.3", "-1.0", "a.b", "9" * 40 + ".0", "٣.1", {"x": 1}])
def test_what_a_browser_says_of_a_pressed_cell_is_checked(picked, monkeypatch):
    monkeypatch.setattr(st, "session_state", {"t": {"picked": picked}})
    assert study_table.picked("t") is None
    monkeypatch.setattr(st, "session_state", {"t": {"picked": "2.1"}})
    assert study_table.picked("t") == (2, 1)


def test_downloads_hold_every_number(root):
    plan = small(root)
    study = loaded()
    view = study_data.view(study, 0, "mrr")
    frame = study_files.frame(view, view.rows, "mrr", "test")
    assert len(frame) == 6 and frame["p (Holm)"].notna().sum() == 4
    every = study_files.runs_frame(study).set_index("run")
    assert len(every) == len(plan.jobs)
    for run, record in study.records.items():
        assert (
            every.loc[run, "MRR, test"] == record.test["mrr"] and every.loc[run, "seconds"] == record.seconds
        )
    report = study_files.report_text(study).decode()
    assert report.startswith("# Small study") and "Uniform" in report


def test_runs_of_studies_flood_no_list(root, capsys):
    plan = small(root)
    for seed in (0, 1):
        make_run(root, plan, run_id(plan, "uniform", "complex", seed))
    with RunWriter.create(
        root, "mine", Config(epochs=4, sampler="uniform"), "nations", "0" * 64, "nations"
    ) as writer:
        writer.write_status("stopped", epoch=2)
    app = small_run.screen("runs.py")
    assert app.dataframe[0].value["id"].tolist() == ["mine"] and "2 runs of studies hidden" in words(app)
    assert "without a readable run" not in " ".join(item.label for item in app.expander)
    app.toggle(key="runs_studies").set_value(True).run()
    assert len(app.dataframe[0].value) == 3 and asked(app, "studies") == "shown"
    assert "it can be hidden or shown" in small_run.screen("runs.py", studies=HOSTILE).warning[0].value

    app = small_run.screen("diagnostics.py")
    assert len(app.selectbox[0].options) == 1 and "2 runs of studies are not listed" in words(app)
    app = small_run.screen("diagnostics.py", run=run_id(plan, "uniform", "complex", 1))
    assert len(app.selectbox[0].options) == 2 and "1 run of a study is not listed" in words(app)
    app = small_run.screen("compare.py", runs=f"{run_id(plan, 'uniform', 'complex', 0)},mine")
    assert len(app.multiselect[0].options) == 2 and len(app.multiselect[0].value) == 2

    assert main(["runs"]) == 0
    out = capsys.readouterr().out
    assert "mine" in out and "small-complex" not in out and "2 runs of studies not listed; --studies" in out
    assert main(["runs", "--studies", "--json"]) == 0
    assert {row["study"] for row in json.loads(capsys.readouterr().out)} == {None, "small"}


def test_the_strata_of_a_study_stand_beside_the_floor(root):
    plan = small(root, triplets=4)
    assert study_strata.frame(loaded(), study_data.view(loaded(), 0, "mrr"), ("complex",)).empty
    study = Study(root / "studies" / "small")
    meta = study.meta.model_copy(update={"halves": "2210", "floor_halves": {"2": 0.3, "1": 0.2, "0": 0.1}})
    replace(study.path / "study.json", to_json(meta))
    table = study_strata.frame(loaded(), view := study_data.view(loaded(), 0, "mrr"), ("complex",))
    titles = ["both halves, 50 %", "one half, 25 %", "neither half, 25 %"]
    assert list(table.columns) == ["Row", *titles]
    assert table["Row"].tolist() == ["Popularity floor", "DANS", "Uniform", "Popularity"]
    assert table.loc[0, titles].tolist() == [0.3, 0.2, 0.1]
    whole = view.entries["dans", ("complex",)].spread("mrr").mean
    assert np.average(table.loc[1, titles].astype(float), weights=[2, 1, 1]) == pytest.approx(whole)
    assert "Test MRR by what train shows" in [box.label for box in screen().expander] and plan.parts
