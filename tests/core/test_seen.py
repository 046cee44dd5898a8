"""Metrics over the triplets whose entities train shows: from the ranking to a study that is read without its data."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch

from dans_core import Config, KnowledgeGraph, Trainer, evaluate, popularity_floor
from dans_core.ranking import Metrics
from dans_data import available
from dans_data.errors import InputError
from dans_data.metrics import TERMS
from dans_lab import cli
from dans_lab.names import METRICS
from dans_lab.study import picture
from dans_lab.study.conduct import conducting
from dans_lab.study.delivery import comparisons_csv, curve_csv, deliver, runs_csv, table_csv
from dans_lab.study.folder import Study, open_study
from dans_lab.study.learning import median, timed
from dans_lab.study.plan import parse_plan
from dans_lab.study.report import markdown, read_study
from dans_lab.study.statistics import crossed
from dans_lab.study.tables import over_seen
from dans_lab.study.words import sentences
from tests.study_samples import EQUAL_TIME, small_plan, write_study

MARKS = "".join("01"[number % 5 > 0] for number in range(60))

TRAIN = [
    ("a", "likes", "b"),
    ("b", "likes", "c"),
    ("c", "knows", "a"),
    ("a", "knows", "c"),
    ("d", "likes", "a"),
]
VALID = [("a", "likes", "c"), ("b", "knows", "new")]
TEST = [("b", "knows", "a"), ("a", "likes", "newer"), ("new", "likes", "newer"), ("c", "likes", "d")]


@pytest.fixture(scope="module")
def graph() -> KnowledgeGraph:
    return KnowledgeGraph.from_names({"train": TRAIN, "valid": VALID, "test": TEST}, "strangers")


@pytest.fixture
def study(tmp_path) -> Study:
    """Equal time, 12 of 60 test triplets unseen, uniform negatives better than DANS."""
    return write_study(
        tmp_path / "studies",
        small_plan(EQUAL_TIME, "equal"),
        skill=lambda cell: 0.4 * (cell.config.sampler == "uniform"),
        seen=MARKS,
        epoch_seconds=lambda cell: 600 / cell.config.epochs,
    )


def parsed(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


# --- the ranking


def test_a_triplet_is_seen_where_train_shows_both_its_entities(graph):
    shown = {name for head, _, tail in TRAIN for name in (head, tail)}
    for split, triplets in (("train", TRAIN), ("valid", VALID), ("test", TEST)):
        named = [(graph.entities[h], graph.entities[t]) for h, _, t in graph.array(split)]
        assert sorted(named) == sorted((h, t) for h, _, t in triplets)
        assert graph.seen_in_train(split).tolist() == [h in shown and t in shown for h, t in named]


def test_the_metrics_of_the_seen_triplets_are_those_of_their_ranks(graph):
    trainer = Trainer(graph, Config(sampler="uniform", dim=8, epochs=2, seed=1))
    list(trainer)
    for result in (evaluate(trainer.model, graph, "test"), popularity_floor(graph, "test")):
        kept = [place for place, seen in enumerate(graph.seen_in_train("test")) if seen]
        assert result.seen == Metrics.of(result.ranks[torch.tensor(kept)])
        assert result.seen.count == 4 and result.count == 8
        assert result.seen.mrr == pytest.approx((1 / result.ranks[kept]).mean().item())
    assert evaluate(trainer.model, graph, "train").seen is None


@pytest.mark.parametrize(("name", "unseen", "every"), [("nell-995", 1036, 5000), ("wn18rr", 210, 3134)])
def test_the_published_graphs_have_unseen_entities(name, unseen, every):
    if name not in {info.name for info in available() if info.here}:
        pytest.skip(f"{name} is not here; DANS_DATA_DIR says where it is")
    seen = KnowledgeGraph.load(name).seen_in_train("test")
    assert (len(seen) - seen.sum(), len(seen)) == (unseen, every)


def test_where_train_shows_all_there_is_nothing_apart(umls):
    assert popularity_floor(umls, "test").seen is None


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The graph as files, and a folder of runs of its own."""
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    data = tmp_path / "strangers"
    data.mkdir()
    for split, triplets in (("train", TRAIN), ("valid", VALID), ("test", TEST)):
        (data / f"{split}.txt").write_text("".join("\t".join(triplet) + "\n" for triplet in triplets))
    return data


def test_the_command_tells_both_and_why(folder, capsys):
    run = folder.parent / "runs" / "r"
    words = ["--dataset", str(folder), "--sampler", "uniform", "--epochs", "2", "--out", str(run), "--json"]
    assert cli.main(["train", *words]) == 0
    capsys.readouterr()
    assert cli.main(["evaluate", str(run), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["seen"]["count"] == 4 and record["floor"]["seen"]["count"] == 4 and record["count"] == 8
    assert cli.main(["evaluate", str(run)]) == 0
    said = capsys.readouterr().out
    lines = [line for line in said.splitlines() if "both sides, seen" in line]
    assert len(lines) == 2 and f"{record['seen']['mrr']:.3f}" in lines[0] and lines[1].split()[-1] == "4"
    assert said.rstrip().endswith("2 of 4 test triplets have one. The seen ones are ranked apart.")
    assert cli.main(["evaluate", str(run), "--split", "train"]) == 0
    assert "seen" not in capsys.readouterr().out


# --- a study


def test_a_study_keeps_a_mark_for_each_test_triplet(graph, folder):
    text = f'title = "t"\ndataset = "{folder}"\n[grid]\nsampler = ["uniform", "popularity"]'
    plan = parse_plan(text, "s", "s.toml")
    with conducting(plan) as conduct:
        about = conduct.study.meta
    assert about.seen == "".join(str(int(each)) for each in graph.seen_in_train("test"))
    floor = popularity_floor(graph, "test")
    assert about.floor["mrr"] == floor.mrr and about.floor_seen["mrr"] == floor.seen.mrr
    assert about.counts == {"entities": 6, "relations": 2, "train": 5, "valid": 2, "test": 4}
    # One that was begun by an earlier version is told once more of its data, and keeps what it knows else.
    file = conduct.study.path / "study.json"
    before = {
        name: value for name, value in json.loads(file.read_text()).items() if name not in ("seen", "counts")
    }
    file.write_text(json.dumps(before | {"took": 12.5}))
    with conducting(plan) as conduct:
        assert conduct.study.meta.seen == about.seen and conduct.study.meta.took == 12.5


def test_records_over_the_seen_triplets_have_their_metrics_alone(study):
    records = study.records()
    kept = np.array([mark == "1" for mark in MARKS])
    for run, record in over_seen(records, MARKS).items():
        ranks = np.array(records[run].ranks)[kept] / 2
        assert (np.array(record.ranks) / 2 == ranks).all() and not record.valid
        assert record.test == {name: pytest.approx(of(ranks).mean()) for name, of in TERMS.items()}
        assert record.curves == records[run].curves
    nothing = over_seen(records, "0" * 60)
    assert all(not record.test and not record.ranks for record in nothing.values())
    with pytest.raises(InputError, match=r"tells of 59 test triplets, but run equal-\S+ has ranked 60"):
        over_seen(records, MARKS[1:])


def test_the_report_has_every_table_and_comparison_for_both(study):
    read = read_study(study)
    text = markdown(read)
    (table,), (seen,) = read.tables, read.seen
    assert "no model can rank it: 12 of 60 test triplets have one." in text and "over the other 48." in text
    assert "Over the seen triplets: MRR 0.193" in text
    lines = [line for line in text.splitlines() if line.startswith("| Uniform ")]
    heads = next(line for line in text.splitlines() if line.startswith("| Variant ")).split("|")
    cells = dict(zip(map(str.strip, heads), map(str.strip, lines[0].split("|")), strict=True))
    for of, ending in ((table, ""), (seen, ", seen")):
        labels = {"variant": "Uniform"}
        for metric in ("mrr", "hits_at_10"):
            spread = of.entry(labels).spread(metric)
            assert cells[METRICS[metric] + ending].startswith(f"{spread.mean:.3f} ± {spread.sd:.3f}")
        assert f"{of.comparison(labels).difference:+.4f}" in text
    assert "### Test MRR over the seen triplets, each less DANS" in text
    kept = np.array([mark == "1" for mark in MARKS])
    of_row, of_reference = (
        np.stack(
            [1 / (np.array(record.ranks)[kept] / 2) for record in table.entry({"variant": name}).records]
        )
        for name in ("Uniform", "DANS")
    )
    expected = crossed(of_reference, of_row)
    compared = seen.comparison({"variant": "Uniform"})
    assert (compared.difference, compared.p) == (pytest.approx(expected.mean), pytest.approx(expected.p))
    assert compared.queries == 96


def test_a_verdict_that_hangs_on_the_unseen_is_told(study):
    read = read_study(study)
    (table,), (seen,) = read.tables, read.seen
    same = "Over the 48 seen test triplets alone the verdicts are the same."
    differing = [each for each in table.comparisons if seen.comparison(each.labels).verdict != each.verdict]
    assert (same in sentences(table, seen)) == (not differing)
    import dataclasses

    sure = [dataclasses.replace(each, corrected=0.001, difference=0.2) for each in table.comparisons]
    open_ = [dataclasses.replace(each, corrected=0.9, difference=0.1) for each in seen.comparisons]
    told = sentences(
        dataclasses.replace(table, comparisons=tuple(sure)),
        dataclasses.replace(seen, comparisons=tuple(open_)),
    )
    assert (
        "Over the 48 seen test triplets alone the verdicts are the same but for: Uniform cannot be told apart "
        "(+0.100), not “better”; NSCaching cannot be told apart (+0.100), not “better”." in told
    )
    assert not any("seen test" in sentence for sentence in sentences(table))


def test_the_csv_have_columns_for_the_seen(study):
    read = read_study(study)
    records = over_seen(read.records, MARKS)
    for line in parsed(runs_csv(read)):
        assert float(line["seen_mrr"]) == records[line["run"]].test["mrr"] < 1
    for line, entry in zip(
        parsed(table_csv(read.tables[0], read.seen[0])), read.seen[0].entries, strict=True
    ):
        assert float(line["seen_hits_at_10_mean"]) == entry.spread("hits_at_10").mean
    lines = parsed(comparisons_csv(read, 0))
    assert [line["triplets"] for line in lines] == ["all"] * 10 + ["seen"] * 10
    assert float(lines[10]["difference"]) == read.seen[0].comparisons[0].difference


def test_a_packed_study_needs_no_data_set(study, tmp_path):
    """Its data set has never been here: all that is told of the seen triplets is in the folder."""
    about = json.loads((study.path / "study.json").read_text())
    gone = {"source": str(tmp_path / "gone"), "dataset": "gone"}
    counts = {"entities": 6, "relations": 2, "train": 5000, "valid": 2, "test": 60}
    (study.path / "study.json").write_text(json.dumps(about | gone | {"counts": counts}))
    read = read_study(study)
    folder, _ = deliver(read, tmp_path / "results")
    again = read_study(open_study(str(folder)))
    assert again.seen == read.seen and markdown(again) == markdown(read)
    assert "gone, 6 entities, 2 relations; 5,000 / 2 / 60 triplets in train / valid / test" in markdown(again)


def test_a_study_without_unseen_entities_says_nothing_of_them(tmp_path):
    read = read_study(write_study(tmp_path, small_plan()))
    assert read.seen == () and read.seen_of(read.tables[0]) is None
    assert " seen" not in markdown(read)
    assert not any("seen" in name for name in parsed(runs_csv(read))[0])
    assert "triplets" not in parsed(comparisons_csv(read, 0))[0]


# --- equal time


def test_the_report_says_equal_time_only_where_it_was(study, tmp_path):
    text = markdown(read_study(study))
    assert "Training budget: Each run may train for about a minute on one core; epochs were set" in text
    assert re.search(
        r"Epochs differ, 60 to 200, as the tables say.* Equal time: a setting trained for 9 min", text
    )
    assert "| epochs |" in text and "minutes of training" in text and "minutes a run" in text
    uneven = write_study(tmp_path, small_plan(EQUAL_TIME, "uneven"), epoch_seconds=lambda cell: 3.0)
    text = markdown(read_study(uneven))
    assert "Not quite equal time, as the longest is 3." in text and "Equal time:" not in text


def test_the_curve_is_data_and_picture(study):
    read = read_study(study)
    folder, files = deliver(read)
    assert {"curve-1.csv", "curve-1.svg"} <= files.keys()
    lines = parsed(curve_csv(read.tables[0]))
    records = [record for entry in read.tables[0].entries for record in entry.records]
    assert len(lines) == sum(len(record.curves["epoch"]) for record in records)
    assert lines[0].keys() == {"variant", "run", "seed", "epoch", "seconds", "valid_mrr"}
    assert float(lines[-1]["seconds"]) == records[-1].curves["seconds"][-1]
    assert "![Valid MRR by training time](curve-1.svg)" in (folder / "report.md").read_text()
    assert "curve-1" not in markdown(read, pictures=False)

    for name, over, other in (("curve", "minutes", "epochs"), ("epochs", "epochs", "minutes")):
        tree = ElementTree.fromstring((folder / f"{name}-1.svg").read_text())
        lines_drawn = list(tree.iter("{http://www.w3.org/2000/svg}polyline"))
        assert len(lines_drawn) == 9 + 3, "each run, and the median of each row"
        texts = "".join(tree.itertext())
        assert all(name in texts for name in ("DANS", "Uniform", "NSCaching", over)) and other not in texts
    # Old records have no seconds: nothing is drawn, and files of before do not stay.
    before = write_study(study.path.parent, small_plan(EQUAL_TIME, "equal"))
    _, files = deliver(read_study(before))
    assert not any(name.endswith(".svg") for name in files) and not list(folder.glob("*-1.svg"))


def test_runs_of_equal_length_are_drawn_over_time_alone(tmp_path):
    text = re.sub(r"epochs = \d+", "epochs = 60", EQUAL_TIME)
    read = read_study(write_study(tmp_path, small_plan(text, "equal-epochs"), epoch_seconds=lambda cell: 1.0))
    folder, files = deliver(read)
    assert "curve-1.svg" in files and "epochs-1.svg" not in files
    assert "Learning by epochs" not in (folder / "report.md").read_text()


def test_names_in_a_picture_are_text_alone(tmp_path):
    text = EQUAL_TIME.replace('"NSCaching"', '"<script>alert(1)</script> & more"')
    plan = small_plan(text, "hostile")
    (table,) = read_study(write_study(tmp_path, plan, epoch_seconds=lambda cell: 0.1)).tables
    drawn = picture.svg(table, "seconds")
    assert "<script" not in drawn and "&lt;script&gt;" in drawn
    ElementTree.fromstring(drawn)


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_picture_of_very_short_runs_can_be_drawn(tmp_path, epochs):
    text = re.sub(r"epochs = \d+", f"epochs = {epochs}", EQUAL_TIME).replace(
        'sampler = "dans"', 'sampler = "sans"'
    )
    plan = small_plan(text, "short")
    (table,) = read_study(write_study(tmp_path, plan, epoch_seconds=lambda cell: 0.0)).tables
    ElementTree.fromstring(picture.svg(table, "seconds"))


def test_names_at_the_ends_of_lines_do_not_touch():
    random = np.random.default_rng(0)
    for count in range(1, 18):
        heights = random.uniform(40, 314, count).tolist()
        placed = picture._apart(heights)
        assert all(b - a >= 15 - 1e-9 for a, b in zip(sorted(placed), sorted(placed)[1:], strict=False))
        assert max(placed) <= 314 + 1e-9
        assert np.argsort(placed).tolist() == np.argsort(heights).tolist()


def test_medians_in_time_are_taken_epoch_by_epoch(study):
    records = list(study.records().values())[:3]
    short = records[0].model_copy(update={"curves": {"epoch": [3.0], "seconds": [4.0], "valid_mrr": [None]}})
    assert timed(short) == [] and median([], "seconds") == []
    of_all = median([short, *records[1:]], "seconds")
    at: dict[float, list[tuple[float, float]]] = {}
    for record in records[1:]:
        for epoch, seconds, value in zip(
            *(record.curves[n] for n in ("epoch", "seconds", "valid_mrr")), strict=True
        ):
            at.setdefault(epoch, []).append((seconds, value))
    assert of_all == [tuple(np.median(at[epoch], axis=0)) for epoch in sorted(at)]
    over_epochs = median([short, *records[1:]], "epochs")
    assert over_epochs == [(epoch, value) for epoch, (_, value) in zip(sorted(at), of_all, strict=True)]
