"""What a run answers: ranks are those of evaluation, facts are marked, and probabilities keep their promise."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest
import torch

from dans_core import Config, KnowledgeGraph
from dans_core.model import Model
from dans_core.networks import Networks
from dans_core.ranking import evaluate
from dans_data import SPLITS
from dans_data.errors import InputError
from dans_lab.cli import main
from dans_lab.inspection import Trained
from dans_lab.prediction import (
    Calibration,
    LoadedRun,
    calibrate,
    fill_relation,
    fill_tail,
    load_run,
    new_facts,
)
from dans_lab.prediction.answers import shares_of
from tests import small_run

RECORDED = "assets/recorded/umls-complex-dans"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    small_run.trained(root, "small", sampler="uniform")
    return root


@pytest.fixture
def run(folder) -> LoadedRun:
    return load_run(folder / "small")


def untrained(name: str, decoder: str) -> Trained:
    kg = KnowledgeGraph.load(name)
    config = Config(decoder=decoder, dim=12)
    torch.manual_seed(3)
    with torch.no_grad():
        return Trained.of(Networks(Model(kg.num_entities, kg.num_relations, config).eval()), kg, config)


@pytest.mark.parametrize(
    ("name", "decoder"), [("umls", "distmult"), ("umls", "rotate"), ("kinships", "complex")]
)
def test_ranks_are_those_of_evaluation(name, decoder):
    run = untrained(name, decoder)
    ranks = evaluate(run.networks.model, run.kg, "test").ranks.T.flatten().tolist()
    for (head, relation, tail), rank in zip(run.kg.queries("test").tolist(), ranks, strict=True):
        found = fill_tail(run, head, relation)
        assert found.ranks[found.ids == tail] == [rank]


def test_candidates_are_ranked_by_a_slow_count(run):
    trained, kg = run.trained, run.kg
    for head, relation in ((0, 1), (3, kg.num_relations + 2)):
        found = fill_tail(trained, head, relation)
        assert sorted(found.ids.tolist()) == list(range(kg.num_entities))
        assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
        score = dict(zip(found.ids.tolist(), found.scores.tolist(), strict=True))
        facts = {tail for split in SPLITS for tail in kg.answers(head, relation)[split].tolist()}
        for at, tail in enumerate(found.ids.tolist()):
            rivals = [score[other] for other in score if other != tail and other not in facts]
            above, alike = sum(s > score[tail] for s in rivals), sum(s == score[tail] for s in rivals)
            assert found.ranks[at] == 1 + above + alike / 2
            assert found.known[at] == (tail in facts)
            mass = [math.exp(score[other] - score[tail]) for other in score]
            open_ = [math.exp(s - score[tail]) for s in rivals] + [1.0]
            assert np.allclose(found.shares[at], [-math.log(sum(mass)), -math.log(sum(open_))], rtol=1e-5)


def test_ties_share_a_rank():
    found = shares_of(np.zeros(4), np.array([True, False, False, False]))
    assert np.allclose(np.exp(found[:, 1]), [1 / 4, 1 / 3, 1 / 3, 1 / 3])


def test_shares_of_scores_far_apart_and_of_no_candidates_are_numbers():
    found = shares_of(np.array([2000.0, 0.0, -1.0]), np.array([True, False, False]))
    assert np.allclose(found[:, 0], [0, -2000, -2001])
    assert np.allclose(found[1:, 1], np.log([1 / (1 + math.exp(-1)), 1 / (1 + math.e)])) and found[0, 1] == 0
    with np.errstate(all="raise"):
        assert shares_of(np.zeros(0), np.zeros(0, dtype=bool)).shape == (0, 2)


def test_typed_leaves_what_train_shows_in_the_place(run):
    kg = run.kg
    relation = int(kg.array("train")[0, 1])
    tails = {tail for _, r, tail in kg.array("train").tolist() if r == relation}
    found = fill_tail(run.trained, 0, relation, typed=True)
    assert set(found.ids.tolist()) == tails and found.ranks.min() >= 1


def test_relations_between_two_entities(run):
    kg = run.kg
    head, relation, tail = kg.array("test")[0].tolist()
    found = fill_relation(run.trained, head, tail)
    facts = {r for split in SPLITS for h, r, t in kg.array(split).tolist() if (h, t) == (head, tail)}
    assert set(found.ids[found.known].tolist()) == facts and relation in facts
    for r, value in zip(found.ids.tolist(), found.scores.tolist(), strict=True):
        tails = fill_tail(run.trained, head, r)
        assert value == pytest.approx(float(tails.scores[tails.ids == tail][0]), abs=1e-5)


@pytest.mark.parametrize("relation", [None, 4])
def test_new_facts_are_the_surest_of_all(run, relation, monkeypatch):
    monkeypatch.setattr("dans_lab.prediction.answers._MOST_SCORES", 50)
    kg, told = run.kg, []
    found, shares = new_facts(run.trained, 25, relation, told=lambda done, total: told.append((done, total)))
    every = []
    for head, r in {(h, r) for h, r, _ in kg.array("train").tolist() if relation in (None, r)}:
        filled = fill_tail(run.trained, head, r)
        rows = zip(filled.ids.tolist(), filled.shares.tolist(), filled.known.tolist(), strict=True)
        every += [(-sum(share), head, r, tail) for tail, share, known in rows if not known]
    best = sorted(every)[:25]
    assert found.tolist() == [list(row[1:]) for row in best]
    assert np.allclose(shares.sum(1), [-row[0] for row in best])
    assert told[0][0] == 0 and told[-1][0] == told[-1][1]


# --- probabilities


def test_probabilities_rise_with_shares_and_keep_their_promise():
    run = load_run(RECORDED)
    found = run.calibration
    assert isinstance(found, Calibration) and found.error < 0.1
    assert all(0 <= p <= 1 for p in (*found.predicted, *found.observed))
    line = np.linspace(-12, 0, 50)
    both = found.probability(np.stack([line, line], axis=1))
    assert (np.diff(both) >= 0).all() and both[0] < 0.01 and both[-1] > 0.5
    bins = np.array(found.answers[1:])
    distances = np.abs(np.array(found.predicted[1:]) - np.array(found.observed[1:]))
    assert found.error == pytest.approx(float(distances @ bins / bins.sum()))
    assert calibrate(run.trained) == found, "the same twice"


def test_too_small_a_valid_gives_none(run, monkeypatch):
    monkeypatch.setattr("dans_lab.prediction.calibration.FEWEST", len(run.kg.array("valid")) + 1)
    assert run.calibration is None
    assert {answer.probability for answer in run.predict(head="usa", relation="embassy")} == {None}
    assert len(run.predict(top=5)) == 5


# --- by name


def test_the_open_place_is_filled_by_name(run):
    kg = run.kg
    tails = run.predict(head="usa", relation="embassy", top=3)
    assert {(answer.head, answer.relation) for answer in tails} == {("usa", "embassy")}
    unknown = [answer for answer in tails if answer.known is None]
    assert len(unknown) == 3 and [answer.rank for answer in unknown] == [1, 2, 3]
    for answer in tails:
        ids = kg.entity_id(answer.head), kg.relation_id(answer.relation), kg.entity_id(answer.tail)
        assert answer.known == kg.split_of(*ids)
        assert (answer.probability is None) == (answer.known is not None)
    heads = run.predict(relation="embassy", tail="usa", top=14)
    assert {(answer.relation, answer.tail) for answer in heads} == {("embassy", "usa")} and len(heads) == 14
    again = run.score([(answer.head, answer.relation, answer.tail) for answer in tails])
    assert [(each.rank, each.known) for each in again] == [(each.rank, each.known) for each in tails]
    assert [each.score for each in again] == pytest.approx([each.score for each in tails], abs=1e-5)
    assert {answer.relation for answer in run.predict(head="usa", tail="china", top=60)} == set(kg.relations)
    assert run.evaluate().mrr == evaluate(run.model, kg, "test").mrr


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"head": "usa"}, "expected two of head, relation and tail"),
        ({"head": "usa", "relation": "embassy", "tail": "china"}, "expected two of"),
        ({"head": "us", "relation": "embassy"}, 'no entity "us"; did you mean "usa"'),
        ({"head": "usa", "relation": "embasy"}, "did you mean"),
        ({"head": "usa", "tail": "china", "typed": True}, "typed goes with a relation and an entity"),
        ({"head": "usa", "relation": "embassy", "top": 0}, "top = 0: expected 1 or more"),
    ],
)
def test_a_wrong_question_is_told(run, asked, words):
    with pytest.raises(InputError, match=words):
        run.predict(**asked)


def test_worth_is_that_of_the_place(run):
    kg, ranked = run.kg, run.evaluate()
    for relation in kg.relations[:6]:
        rows = [i for i, r in enumerate(kg.array("test")[:, 1].tolist()) if kg.relations[r] == relation]
        for side, of in enumerate(("tail", "head")):
            found = run.worth(relation, of)
            assert found.queries == len(rows) and found.everywhere == pytest.approx(ranked.mrr)
            if rows:
                assert found.mrr == pytest.approx(float((1 / ranked.ranks[rows, side]).mean()))
                assert "beside" in str(found)
            else:
                assert found.mrr is None and "no triplet of this split asks for this" in str(found)


# --- the terminal


def test_the_command(folder, tmp_path, capsys):
    path = str(folder / "small")
    assert main(["predict", path, "--head", "usa", "--relation", "embassy", "--top", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["rank"] for row in told["answers"] if row["known"] is None] == [1, 2]
    assert told["worth"]["queries"] >= 0 and told["checkpoint"] == "best"
    kept = tmp_path / "answers.csv"
    assert main(["predict", path, "--relation", "embassy", "--csv", str(kept)]) == 0
    out = capsys.readouterr().out
    assert "(?, embassy, ?)" in out and "the chance that a new answer is true, fitted on valid" in out
    with kept.open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 10 and {row["known"] for row in rows} == {""}
    facts = tmp_path / "facts.tsv"
    facts.write_text("usa\tembassy\tchina\nchina\tembassy\tusa\n")
    assert main(["predict", path, "--triplets", str(facts)]) == 0
    assert "the triplets of" in capsys.readouterr().out
    for wrong, words in {
        ("--head", "usa"): "expected two of",
        ("--triplets", str(facts), "--head", "usa"): "goes alone",
        ("--csv", str(kept)): "is there already",
        ("--head", "nobody", "--relation", "embassy"): 'no entity "nobody"',
    }.items():
        assert main(["predict", path, *wrong]) == 2
        error = capsys.readouterr().err
        assert words in error and error.startswith("error: ") and error.count("\n") == 1
