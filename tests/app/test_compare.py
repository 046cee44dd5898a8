"""The Compare screen without a browser: which runs, what differs, the curves together, and what the ranks can show."""

import json
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from dans_app.compare import chosen_runs, differences, rank_comparison
from dans_app.server import inspecting
from dans_app.shared import curves, theme
from dans_app.shared.run_history import RunHistory
from dans_app.shared.shell import describe, labels
from dans_core import KnowledgeGraph, evaluate, popularity_floor
from dans_core.config import Config
from dans_core.events import Losses, Ranking
from dans_core.ranking import Metrics
from dans_lab.runs.run import Run
from dans_lab.runs.weights import load_weights
from dans_lab.study.statistics import Difference, holm, paired
from tests import small_run
from tests.waiting import PATIENCE


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with a finished run, its twin, the same with another seed written on it, and one on other data."""
    folder = tmp_path_factory.mktemp("trained")
    small_run.trained(folder, "with-gan")
    small_run.trained(folder, "twin", sampler="uniform")
    small_run.trained(folder, "other-data", dataset="umls")
    copy(folder, "with-gan", "seed-1", seed=1)
    return folder


def copy(folder: Path, run_id: str, new_id: str, **settings: object) -> Run:
    shutil.copytree(folder / run_id, folder / new_id)
    file = folder / new_id / "config.json"
    stored = json.loads(file.read_text())
    stored["config"] |= settings
    file.write_text(json.dumps(stored))
    return Run(folder / new_id)


@pytest.fixture(autouse=True)
def alone(trained, tmp_path, monkeypatch):
    small_run.only(trained, tmp_path, monkeypatch)


screen = partial(small_run.screen, "compare.py")


def asked(app: AppTest, name: str) -> str | None:
    value = app.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def words(app: AppTest) -> str:
    text = "\n".join(
        item.value for kind in ("markdown", "caption", "info", "warning", "error") for item in app.get(kind)
    )
    return re.sub(r"\\(.)", r"\1", text).replace("**", "")


def titles(app: AppTest) -> list[str]:
    return [item.value for item in app.header]


def runs_of(folder: Path, **letters: str) -> dict[str, Run]:
    return {letter: Run(folder / run_id) for letter, run_id in letters.items()}


# --- which runs


@pytest.mark.parametrize(
    ("text", "ids", "said"),
    [
        (None, ["with-gan", "twin"], None),
        ("twin,with-gan,twin", ["twin", "with-gan"], None),
        ("", [], None),
        (",,", [], None),
        ("twin,gone", ["twin"], "There is no run “gone” on this machine; the rest is shown."),
        (
            "gone,gone-too",
            ["with-gan", "twin"],
            "There is no run “gone” on this machine (and 1 more); others are shown instead.",
        ),
        (
            "broken,twin",
            ["twin"],
            "Run “broken” cannot be read (config.json: no JSON); the rest is shown.",
        ),
        (
            "../etc,twin",
            ["twin"],
            "The address asks for something that is not the name of a run; the rest is shown.",
        ),
        (
            "r0,r1,r2,r3,r4,r5,r6",
            [f"r{i}" for i in range(6)],
            "The address asks for 7 runs; the first 6 are shown.",
        ),
    ],
)
def test_an_address_names_the_runs(trained, text, ids, said):
    known = runs_of(
        trained, **{name: "with-gan" for name in ("with-gan", "twin", *(f"r{i}" for i in range(9)))}
    )
    found, problem = chosen_runs.asked(text, known, {"broken": "config.json: no JSON"}, ["with-gan", "twin"])
    assert found == ids
    assert (problem and re.sub(r"\\(.)", r"\1", problem)) == said


@pytest.mark.parametrize("text", ["<img src=x onerror=alert(1)>,twin", "[a](javascript:b)", "\x00" * 9000])
def test_a_hostile_address_is_never_repeated(trained, text):
    _, problem = chosen_runs.asked(text, runs_of(trained, twin="twin"), {}, ["twin"])
    assert len(problem) < 200 and not re.search(r"[<\[\x00]", problem)


def test_beside_a_run_stands_its_twin_else_another_on_the_same_data(trained):
    known = runs_of(trained, other="other-data", seed="seed-1", gan="with-gan")
    assert chosen_runs.default(known["gan"], known) == ["with-gan", "seed-1"]
    assert chosen_runs.default(known["other"], known) == ["other-data"]
    known["twin"] = Run(trained / "twin")
    assert chosen_runs.default(known["gan"], known) == ["with-gan", "twin"]


def test_each_line_of_the_list_is_another(trained):
    known = runs_of(trained, a="with-gan", b="twin", c="with-gan")
    lines = labels(known)
    assert lines["b"] == describe(known["b"])
    assert len(set(lines.values())) == 3 and lines["c"].endswith(" · c")


def test_letters_are_told_by_more_than_colour():
    assert [look.name for look in theme.LOOKS] == list("ABCDEF")
    for part in ("color", "dash", "marker"):
        assert len({getattr(look, part) for look in theme.LOOKS}) == chosen_runs.MOST


# --- what differs


def test_every_setting_is_in_one_of_the_two_tables(trained):
    runs = runs_of(trained, A="with-gan", B="twin", C="other-data")
    table, rest = differences.differing(runs), differences.alike(runs)
    assert table["Setting"].tolist() == ["Data set", "Negatives"]
    assert table[["A", "B", "C"]].values.tolist() == [
        ["Nations", "Nations", "UMLS"],
        ["DANS", "Uniform", "DANS"],
    ]
    told = [*table["Setting"], *rest["Setting"]]
    fields = [field.title for field in Config.model_fields.values()]
    assert set(fields) <= set(told) and len(told) == len(set(told)) == 4 + len(fields) + len(
        runs["A"].meta.versions
    )
    assert dict(zip(rest["Setting"], rest["All"], strict=True))["Score message edges"] == "on"
    reasons = {field.title: field.description for field in Config.model_fields.values()}
    assert table["What it does"][1] == reasons["Negatives"]


def test_other_triplets_under_the_same_name_another_device_and_other_versions_differ(tmp_path, trained):
    shutil.copytree(trained / "with-gan", tmp_path / "with-gan")
    other = copy(tmp_path, "with-gan", "other")
    stored = json.loads((other.path / "config.json").read_text())
    stored["hash"], stored["versions"]["torch"] = "0" * 64, "1.0"
    stored["device"], stored["precision"] = "cuda:0 (One GPU)", "tf32"
    (other.path / "config.json").write_text(json.dumps(stored))
    table = differences.differing({"A": Run(tmp_path / "with-gan"), "B": other})
    assert table["Setting"].tolist() == ["Data set", "Device", "Precision", "Version of torch"]
    assert table["A"].tolist()[1:3] == ["cpu", "float32"]
    assert table["B"].tolist() == ["Nations (00000000)", "cuda:0 (One GPU)", "tf32", "1.0"]


def test_the_difference_is_said_in_a_sentence_each(trained):
    def said(**letters: str) -> list[str]:
        runs = runs_of(trained, **letters)
        lines = differences.in_words(differences.differing(runs), list(runs))
        return [line.replace("**", "") for line in lines]

    assert said(A="with-gan", B="twin") == ["B differs from A in Negatives alone."]
    assert said(A="with-gan", B="seed-1") == [
        "B differs from A in the Seed alone: what separates them is luck."
    ]
    assert said(A="twin", B="seed-1", C="twin") == [
        "B differs from A in Negatives and Seed.",
        "C differs from A in nothing, so the numbers should be the same.",
        "Where more than one thing differs, no difference below can be put down to one of them.",
    ]
    assert said(A="twin", B="twin")[0].startswith("Data, settings, seed and versions are all the same")


def test_runs_that_differ_in_nothing_but_the_seed_are_found(trained):
    runs = runs_of(trained, A="with-gan", B="twin", C="seed-1", D="other-data")
    assert differences.seed_groups(runs) == [["A", "C"]]


# --- curves together


def test_each_panel_has_a_line_for_each_run_that_has_the_curve():
    histories = [RunHistory(f"r{i}") for i in range(3)]
    for history, mrr in zip(histories, (0.5, 0.6, 0.7), strict=True):
        gan = {} if history.run_id == "r1" else dict(g_e=0.7, g_r=0.6, d_adv=0.7, d_aux=0.5)
        history.take(Losses(epoch=1, base=0.3, warm_up=False, seconds=0.1, **gan))
        history.take(Ranking(1, "valid", mrr, 0, 0, 0, 0, True))
    configs = [Config(epochs=10), Config(epochs=30, sampler="uniform"), Config(epochs=20)]
    data = curves.shared_panels(histories, configs, theme.LOOKS[:3], [False, False, True], 0.4)
    panels = {panel["id"]: panel for panel in data["panels"]}
    assert list(panels) == ["mrr", "base", "g_e", "g_r", "d_adv", "d_aux"]
    for name, panel in panels.items():
        letters = "ABC" if name in ("mrr", "base") else "AC"
        assert [line["name"] for line in panel["series"]] == list(letters)
        assert len({line["dash"] for line in panel["series"]}) == len(letters)
    assert (
        data["epochs"] == 30 and data["live"] and [x["live"] for x in panels["base"]["series"]] == [0, 0, 1]
    )
    assert data["warm_up"] == 0, "their warm-ups differ: 5 and 10 epochs"
    assert panels["mrr"]["alt"] == (
        "Ranking, valid split by epoch, of 30: A 0.500 at epoch 1, B 0.600 at epoch 1, C 0.700 at epoch 1; popularity "
        "floor 0.400; best of A 0.500 at epoch 1; best of B 0.600 at epoch 1; best of C 0.700 at epoch 1."
    )
    without = curves.shared_panels(histories[1:2], configs[1:2], theme.LOOKS[:1], [False], None)
    assert [panel["id"] for panel in without["panels"]] == ["mrr", "base"]
    assert without["panels"][0]["rules"] == []


def test_many_long_runs_do_not_send_more_points_than_one_panel_needs():
    histories = [RunHistory(f"r{i}") for i in range(6)]
    for history in histories:
        for epoch in range(1, 4001):
            history.curve("base").add(epoch, 1 / epoch)
    data = curves.shared_panels(
        histories, [Config(epochs=4000, sampler="uniform")] * 6, theme.LOOKS, [False] * 6, None
    )
    assert sum(len(line["x"]) for line in data["panels"][1]["series"]) < 4000
    assert "lowest and highest point" in data["note"]


# --- ranks, metrics and tests


def some_ranks(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).geometric(0.3, (n, 2)).astype(float)


@pytest.mark.parametrize("split", ["valid", "test"])
def test_the_process_ranks_as_the_core_does(trained, nations, split):
    run = Run(trained / "with-gan")
    for which in ("best", "last"):
        model = load_weights(run.load_checkpoint(which), nations, run.config).model
        expected = evaluate(model, nations, split).ranks.numpy()
        assert np.array_equal(inspecting.ranks(run, nations, which, split), expected)
    floor = inspecting.floor_ranks(run, nations, "best", split)
    assert np.array_equal(floor, popularity_floor(nations, split).ranks.numpy())


def test_the_table_has_every_metric_of_both_sides_and_each():
    ranks = {"A": some_ranks(50, 0), "Floor": some_ranks(50, 1)}
    table = rank_comparison.metric_table(ranks).set_index(["Side", "Run"])
    for name, found in ranks.items():
        for side, columns in (("Both", [0, 1]), ("Tail", [0]), ("Head", [1])):
            expected = Metrics.of(torch.from_numpy(found[:, columns]))
            row = table.loc[side, name]
            assert row["MRR"] == pytest.approx(expected.mrr) and row["H@10"] == pytest.approx(
                expected.hits_at_10
            )
            assert row["NDCG@5"] == pytest.approx(expected.ndcg_at_5)


def test_every_run_is_compared_with_the_first_and_corrected_for_their_number():
    first = some_ranks(120, 0)
    ranks = {"A": first, "B": np.maximum(1, first - 1), "C": some_ranks(120, 2), "D": first.copy()}
    found = rank_comparison.verdicts(ranks, "mrr")
    assert [each.letter for each in found] == ["B", "C", "D"]
    alone = [paired(1 / first, 1 / ranks[letter]) for letter in "BCD"]
    assert [each.difference for each in found] == alone
    assert [each.p for each in found] == holm([each.p for each in alone])
    assert found[0].sure and not found[2].sure and found[2].p == 1
    assert "corrected for 3 comparisons (Holm)" in rank_comparison.how(found, "valid")
    figure = rank_comparison.forest(found, "A", "mrr")
    assert list(figure.layout.yaxis.ticktext) == ["B − A", "C − A", "D − A"]
    rows = rank_comparison.verdict_table(found, "A", "mrr")
    assert rows["p (Holm)"].tolist() == [each.p for each in found] and rows["p"].tolist() == [
        d.p for d in alone
    ]


@pytest.mark.parametrize(
    ("difference", "p", "said"),
    [
        (
            Difference(0.0124, 0.0041, 0.0203, 0.003, 652),
            0.003,
            "B ranks higher than A by 0.012 MRR (0.004 … 0.020), p = 0.003: more than these triplets’ luck, but "
            "in that the luck of the seed is not counted.",
        ),
        (
            Difference(-0.0124, -0.0203, 0.0004, 0.00001, 652),
            0.00001,
            "B ranks lower than A by 0.012 MRR (0.000 … 0.020), p < 0.001: more than these triplets’ luck, but "
            "in that the luck of the seed is not counted.",
        ),
        (
            Difference(0.003, -0.006, 0.013, 0.2, 652),
            0.53,
            "B and A: no difference that these 652 triplets could show (MRR +0.003, −0.006 … +0.013, p = 0.53, in "
            "which the luck of the seed is not counted).",
        ),
        (
            Difference(0.0, 0.0, 0.0, 1.0, 1),
            1.0,
            "B and A: no difference that this triplet could show (MRR 0.000, 0.000 … 0.000, p = 1.00, in "
            "which the luck of the seed is not counted).",
        ),
    ],
)
def test_the_verdict_says_no_more_than_the_test(difference, p, said):
    verdict = rank_comparison.Verdict("B", difference, p)
    assert rank_comparison.sentence(verdict, "A", "mrr").replace("**", "") == said


def test_the_luck_of_the_seed_is_always_spoken_of():
    ranks = {"A": np.full((4, 2), 1.0), "B": np.full((4, 2), 2.0), "C": np.full((4, 2), 4.0)}
    assert "One run of each" in rank_comparison.seed_note([], ranks)
    note = rank_comparison.seed_note([["A", "C"]], ranks)
    assert "by the seed alone A and C lie 0.750 MRR apart." in note


def test_the_relations_add_up_to_the_whole(nations):
    n = len(nations.valid)
    ranks = {"A": some_ranks(n, 0), "C": some_ranks(n, 1)}
    rows = rank_comparison.relations(ranks, nations, "valid", "mrr")
    assert rows["Difference"].is_monotonic_decreasing
    numbers = nations.array("valid")[:, 1].tolist()
    for row in rows.itertuples():
        mine = [i for i, number in enumerate(numbers) if nations.relations[number] == row.Relation]
        assert row.Triplets == len(mine) and row.Few == (len(mine) < rank_comparison.FEW)
        mean = np.mean([1 / r for i in mine for r in ranks["A"][i]])
        assert abs(row.A - mean) < 1e-12
    whole = (rows["Difference"] * rows["Triplets"]).sum() / n
    assert whole == pytest.approx((1 / ranks["C"]).mean() - (1 / ranks["A"]).mean())


def test_the_relations_are_drawn_from_both_ends_with_harmless_names(monkeypatch):
    kg = KnowledgeGraph(
        *(np.array([[0, r, 1] for r in range(9) for _ in range(1)]) for _ in range(3)),
        entities=["a", "b"],
        relations=[f"<b onload=x>{r}&" for r in range(9)],
        name="hostile",
    )
    ranks = {"A": np.full((9, 2), 2.0), "B": np.arange(1.0, 19).reshape(9, 2)}
    rows = rank_comparison.relations(ranks, kg, "valid", "mrr")
    figure = rank_comparison.dumbbells(rows, ("A", "B"), "mrr")
    assert len(figure.layout.yaxis.ticktext) == 9
    texts = [
        *figure.layout.yaxis.ticktext,
        *(t for trace in figure.data if trace.hovertext is not None for t in trace.hovertext),
    ]
    assert all("&lt;b onload=x&gt;" in text and "<b onload" not in text for text in texts)
    assert sum(bool(trace.showlegend) for trace in figure.data) == 2, "a legend, though all have few triplets"
    monkeypatch.setattr(rank_comparison, "MOST_RELATIONS", 4)
    few = rank_comparison.ends(rows)
    assert few["Relation"].tolist() == [*rows["Relation"][:2], *rows["Relation"][-2:]]
    assert "Drawn are the 4 at both ends" in rank_comparison.about_relations(rows, ("A", "B"), "valid", "mrr")
    alt = rank_comparison.dumbbells_alt(rows, ("A", "B"), "mrr")
    assert "B is higher on 1 and lower on 8" in alt


# --- the screen


def test_nothing_of_it_brings_torch_into_the_server():
    script = (
        "import sys, dans_app.compare.chosen_runs, dans_app.compare.differences, dans_app.compare.words\n"
        "import dans_app.compare.rank_comparison, dans_app.shared.curves\n"
        "assert not {'torch', 'sklearn', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=small_run.ROOT, check=True, timeout=PATIENCE)


def test_the_run_looked_at_and_its_twin_are_shown_at_first():
    app = screen(run="with-gan")
    assert asked(app, "runs") == "with-gan,twin"
    assert titles(app)[:4] == ["What differs", "Does one rank better?", "Curves", "Metrics on valid"]
    assert titles(app)[-1] == "Relation by relation"
    text = words(app)
    assert "B differs from A in Negatives alone." in text
    assert "B has no G_E, G_R and D, and so no line in their panels." in text
    assert re.search(
        r"B and A: no difference that these 199 triplets could show|B ranks (higher|lower) than A|B and A: no verdict",
        text,
    )
    assert "One run of each: other seeds may turn this round." in text
    settings, metrics = app.dataframe[0].value, app.dataframe[1].value
    assert settings["A"].tolist() == ["DANS"] and settings["B"].tolist() == ["Uniform"]
    assert metrics["Run"].tolist() == ["A", "B", "Floor"] * 3
    assert not app.warning and not app.error
    charts = [chart.proto for chart in app.get("plotly_chart")]
    assert "Differences in MRR" in charts[0].alt and "on each of" in charts[1].alt


def test_split_measure_and_weights_are_in_the_address():
    app = screen(runs="with-gan,twin", split="test", metric="hits_at_1", weights="last")
    text = words(app)
    assert "Choose on valid, look at test once" in text and "triplets of test, paired" in text
    assert "Weights of the last checkpoint" in text and "H@1" in text
    before = app.dataframe[1].value["MRR"].tolist()
    app.segmented_control(key="compare_split").set_value("valid").run()
    assert asked(app, "split") is None and asked(app, "metric") == "hits_at_1"
    assert app.dataframe[1].value["MRR"].tolist() != before
    app.segmented_control(key="compare_metric").set_value("mrr").run()
    assert asked(app, "metric") is None and not app.exception


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"runs": "with-gan,gone,twin"}, "no run “gone” on this machine; the rest is shown"),
        ({"runs": "<img src=x onerror=alert(1)>"}, "not the name of a run; others are shown instead"),
        ({"split": "train"}, "valid or test"),
        ({"metric": "../x"}, "mrr or hits_at_1"),
        ({"weights": "worst"}, "best or last"),
        ({"other": "A"}, "it can be B"),
    ],
)
def test_a_wrong_address_gets_one_sentence_and_the_rest_is_shown(query, said):
    app = screen(**{"runs": "with-gan,twin", "run": "with-gan", **query})
    assert len(app.warning) == 1
    text = app.warning[0].value
    assert said in re.sub(r"\\(.)", r"\1", text) and not re.search(r"(?<!\\)[<\[]", text)
    assert "Does one rank better?" in titles(app)


def test_choosing_other_runs_changes_the_address_and_forgives_it():
    app = screen(runs="with-gan,twin,gone")
    assert len(app.warning) == 1
    app.multiselect[0].set_value(["twin", "seed-1"]).run()
    assert asked(app, "runs") == "twin,seed-1" and not app.warning
    assert "B differs from A in Negatives and Seed." in words(app)
    app.multiselect[0].set_value([]).run()
    assert "Two runs are needed" in words(app) and not app.exception
    assert asked(app, "runs") == "" and not app.header


def test_several_runs_are_tested_together_and_one_is_chosen_for_the_relations():
    app = screen(runs="with-gan,twin,seed-1")
    text = words(app)
    assert "corrected for 2 comparisons (Holm)" in text
    assert "C and A: no " in text and "p = 1.00" in text, "the same weights under another seed"
    assert "by the seed alone A and C lie 0.000 MRR apart" in text
    app.segmented_control(key="compare_other").set_value("C").run()
    assert asked(app, "other") == "C" and not app.exception
    alt = app.get("plotly_chart")[1].proto.alt
    assert "of A and C on each of" in alt and "C is higher on 0 and lower on 0" in alt
    app.multiselect[0].set_value(["with-gan", "twin"]).run()
    assert not app.warning and asked(app, "other") is None, "a letter means nothing among other runs"


def test_runs_on_other_data_are_left_out_of_the_test():
    app = screen(runs="with-gan,other-data")
    text = words(app)
    assert "B was trained on other data than A" in text and "leave it out" in text
    assert "B differs from A in Data set alone." in text
    assert not app.get("plotly_chart") and "Relation by relation" not in titles(app)
    assert set(app.dataframe[1].value["Run"]) == {"A", "B", "Floor, data of A", "Floor, data of B"}


def test_one_run_only_and_none_at_all_are_friendly(tmp_path, trained, monkeypatch):
    assert "Two runs are needed" in words(screen(runs="with-gan"))
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "none"))
    app = screen()
    assert "Two runs are needed" in words(app) and not app.multiselect
    assert "Two runs are needed" in words(screen(runs="with-gan,twin"))


def test_a_damaged_run_is_one_sentence_and_the_rest_is_shown(tmp_path, trained, monkeypatch):
    folder = tmp_path / "runs"
    for run_id in ("with-gan", "twin", "seed-1"):
        shutil.copytree(trained / run_id, folder / run_id)
    monkeypatch.setenv("DANS_RUNS_DIR", str(folder))
    with (folder / "seed-1" / "events.jsonl").open("ab") as file:
        file.write(b'{"event": "losses", "epoch": "three"}\n')
    app = screen(runs="seed-1,with-gan,twin")
    assert len(app.error) == 1 and "Run seed-1 is left out" in words(app)
    assert "B differs from A in Negatives alone." in words(app)

    (folder / "twin" / "best.pt").write_bytes(b"broken")
    app = screen(runs="with-gan,twin")
    assert len(app.error) == 1 and "B cannot be ranked" in app.error[0].value
    assert app.dataframe[1].value["Run"].tolist() == ["A", "Floor"] * 3 and "Curves" in titles(app)

    (folder / "twin" / "config.json").write_text("{")
    app = screen(runs="with-gan,twin")
    assert len(app.warning) == 1 and "Run “twin” cannot be read" in words(app)


def test_a_run_without_weights_is_said(tmp_path, trained, nations, monkeypatch):
    shutil.copytree(trained / "with-gan", tmp_path / "runs" / "with-gan")
    small_run.drawn(tmp_path / "runs", nations, "nations", "bare")
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    app = screen(runs="bare,with-gan")
    assert len(app.error) == 1 and "A cannot be ranked" in app.error[0].value
    assert "has no best.pt" in re.sub(r"\\(.)", r"\1", app.error[0].value)
    assert app.dataframe[1].value["Run"].tolist() == ["B", "Floor"] * 3 and not app.get("plotly_chart")


def test_a_large_ranking_waits_until_it_is_asked_for(monkeypatch):
    monkeypatch.setattr("dans_app.compare.chosen_runs.LARGE", 1000)
    app = screen(runs="with-gan,twin")
    assert "199 triplets against every entity" in words(app) and "Metrics on valid" not in titles(app)
    next(button for button in app.button if button.label == "Rank with every run").click().run()
    assert "Metrics on valid" in titles(app) and not app.exception


def test_tables_that_are_closed_are_not_made():
    app = screen(runs="with-gan,twin")
    assert len(app.dataframe) == 2
    app.session_state["compare_alike_open"] = True
    app.session_state["compare_relations_open"] = True
    app.run()
    assert len(app.dataframe) == 4
    assert app.dataframe[3].value["Triplets"].sum() == 199


def test_a_lead_that_means_nothing_is_no_verdict():
    """Ranks of some thirty: 0.037 beside 0.034 with a floor of 0.027, whatever p says."""
    random = np.random.default_rng(0)
    first = random.integers(25, 40, size=(4000, 2)).astype(float)
    ranks = {"A": first, "B": first - 2}
    (sure,) = rank_comparison.verdicts(ranks, "mrr")
    assert sure.sure and sure.withheld is None
    assert "B ranks higher than A" in rank_comparison.sentence(sure, "A", "mrr")
    (near,) = rank_comparison.verdicts(ranks, "mrr", 0.027)
    assert near.withheld == "near the floor" and near.difference == sure.difference
    assert "B and A: no verdict, near the floor** (MRR +0.00" in rank_comparison.sentence(near, "A", "mrr")
    (rising,) = rank_comparison.verdicts(ranks, "mrr", 0.001, {"A": 0.001, "B": 0.2})
    assert rising.withheld == "still rising" and "more epochs may turn it round" in rank_comparison.sentence(
        rising, "A", "mrr"
    )
    assert rank_comparison.verdict_table([rising], "A", "mrr")["no verdict"].tolist() == ["still rising"]


def test_runs_are_ranked_apart_by_what_train_shows():
    kg = KnowledgeGraph.load("umls")
    floor = popularity_floor(kg, "test").ranks.numpy()
    table = rank_comparison.strata_table({"A": floor, "B": floor + 1}, floor, kg, "test")
    assert table["Train shows"].tolist() == ["both halves", "one half"] and table["Triplets"].sum() == 661
    assert table["A"].tolist() == table["Floor"].tolist() and (table["B"] < table["Floor"]).all()
