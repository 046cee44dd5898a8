"""Halves of triplets that train shows: against a slow count, on real data, and in the terminal."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from dans_core.kg import KnowledgeGraph
from dans_core.ranking import popularity_floor
from dans_data.errors import InputError
from dans_lab.cli import main
from dans_lab.halves import HALVES, halves, strata
from dans_lab.runs.records import replace, to_json
from dans_lab.study.conduct import conducting
from dans_lab.study.folder import Study
from dans_lab.study.report import markdown, read_study
from dans_lab.study.tables import by_halves
from dans_lab.study.words import spread
from dans_lab.study.words import strata as strata_words
from tests import small_run
from tests.study_samples import small_plan, write_study


@pytest.mark.parametrize("split", ["valid", "test"])
def test_halves_are_those_of_a_slow_count(split):
    kinships = KnowledgeGraph.load("kinships")
    train = kinships.array("train").tolist()
    heads, tails = {(h, r) for h, r, _ in train}, {(r, t) for _, r, t in train}
    wanted = [((h, r) in heads) + ((r, t) in tails) for h, r, t in kinships.array(split).tolist()]
    assert halves(kinships, split).tolist() == wanted


def test_the_shares_of_umls():
    """95 % both and none without either half: what a model is asked there it has nearly always half seen."""
    shown = halves(KnowledgeGraph.load("umls"), "test")
    assert round(100 * (shown == 2).mean()) == 95 and not (shown == 0).any()


def test_strata_are_means_over_their_triplets():
    rows = {"train": [("a", "r", "b"), ("c", "s", "d")], "valid": [("a", "r", "b")]}
    rows["test"] = [("a", "r", "d"), ("a", "r", "b"), ("b", "s", "a"), ("d", "s", "c")]
    kg = KnowledgeGraph.from_names(rows, "small")
    order = [tuple(map(int, row)) for row in kg.array("test")]
    shown = {("a", "r", "d"): 1, ("a", "r", "b"): 2, ("b", "s", "a"): 0, ("d", "s", "c"): 0}
    assert [HALVES[n] for n in halves(kg, "test")] == [
        HALVES[shown[kg.entities[h], kg.relations[r], kg.entities[t]]] for h, r, t in order
    ]
    ranks, floor = np.array([[1, 2], [4, 4], [1, 1], [2, 2]], dtype=float), np.full((4, 2), 2.0)
    found = {each.halves: each for each in strata(kg, "test", ranks, floor)}
    for number, name in enumerate(HALVES):
        of = [
            1 / rank for row, n in zip(ranks, halves(kg, "test"), strict=True) if n == number for rank in row
        ]
        assert found[name].mrr == pytest.approx(sum(of) / len(of)) and found[name].floor == 0.5
    assert sum(each.share for each in found.values()) == 1


def test_evaluate_tells_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    small_run.trained(tmp_path, "small", sampler="uniform")
    assert main(["evaluate", "small"]) == 0
    assert "both halves" in capsys.readouterr().out
    assert main(["evaluate", "small", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    parts = told["halves"]
    assert sum(part["triplets"] * part["mrr"] for part in parts) == pytest.approx(
        2 * told["count"] / 4 * told["mrr"]
    )


def test_a_study_has_its_strata_beside_the_floor(tmp_path):
    """The means of a report are those of the ranks of its records, triplet by triplet."""
    plan = small_plan()
    study = write_study(tmp_path, plan, triplets=6)
    assert "by what train shows" not in markdown(read_study(study)), "a study of before knows none"
    meta = study.meta.model_copy(update={"halves": "221020", "floor_halves": {"2": 0.3, "1": 0.2, "0": 0.1}})
    replace(study.path / "study.json", to_json(meta))
    read = read_study(Study(study.path))
    (table,) = read.tables
    assert strata_words(meta.halves) == {2: "both halves, 50 %", 1: "one half, 17 %", 0: "neither half, 33 %"}
    for entry in table.entries:
        found = by_halves(entry, meta.halves)
        for number, places in ((2, [0, 1, 4]), (1, [2]), (0, [3, 5])):
            by_hand = [
                sum(1 / (rank / 2) for place in places for rank in record.ranks[place]) / (2 * len(places))
                for record in entry.records
            ]
            assert (
                found[number].mean == pytest.approx(sum(by_hand) / len(by_hand)) and found[number].count == 3
            )
    text = markdown(read)
    assert re.search(r"\| popularity floor +\| +\| +0\.300 +\| +0\.200 +\| +0\.100 +\|", text)
    first = by_halves(table.entries[0], meta.halves)[2]
    assert spread(first) in text.split("### Test MRR by what train shows")[1]
    with pytest.raises(InputError, match="tells of 4 test triplets, but run"):
        by_halves(table.entries[0], "2210")


def test_a_study_that_is_conducted_keeps_its_strata(tmp_path, monkeypatch):
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    kg = KnowledgeGraph.load("nations")
    with conducting(small_plan()) as conduct:
        meta = conduct.study.meta
    assert [int(each) for each in meta.halves] == halves(kg, "test").tolist()
    floor = popularity_floor(kg, "test").ranks.numpy()
    apart = {str(HALVES.index(each.halves)): each.floor for each in strata(kg, "test", floor, floor)}
    assert meta.floor_halves == apart and len(apart) == 3
