"""The survey of a data set: every figure against a slow count by sets, the words against small graphs, real data."""

from __future__ import annotations

import json
import os
import random
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from dans_core import KnowledgeGraph
from dans_data import SPLITS
from dans_data.catalogue import Fact
from dans_data.notes import Duplicates, Remark
from dans_lab import survey
from dans_lab.cli import main
from tests.conftest import random_graph

ENTITIES, RELATIONS = 5, 3

triplet = some.tuples(
    some.integers(0, ENTITIES - 1), some.integers(0, RELATIONS - 1), some.integers(0, ENTITIES - 1)
)


def graph(train, valid=(), test=(), entities=ENTITIES, relations=RELATIONS) -> KnowledgeGraph:
    rows = [np.array(sorted(split), dtype=np.int64).reshape(-1, 3) for split in (train, valid, test)]
    names = [f"e{i:05}" for i in range(entities)], [f"r{i:05}" for i in range(relations)]
    return KnowledgeGraph(*rows, *names, name="small")


graphs = some.builds(
    graph, some.sets(triplet, min_size=1, max_size=25), some.sets(triplet, max_size=8), some.sets(triplet)
)


def sets(kg: KnowledgeGraph) -> dict[str, set[tuple[int, int, int]]]:
    return {split: set(map(tuple, kg.array(split).tolist())) for split in SPLITS}


def kinds(kg: KnowledgeGraph) -> dict[str, survey.Finding]:
    return {finding.kind: finding for finding in survey.findings(kg)}


# --- figures ---------------------------------------------------------------------------------------------------


@given(graphs)
def test_statistics_are_those_of_a_slow_count(kg):
    splits = sets(kg)
    degree = Counter(entity for h, _, t in splits["train"] for entity in (h, t))
    parts = {entity: {entity} for entity in degree}
    for h, _, t in splits["train"]:
        joined = parts[h] | parts[t]
        parts.update(dict.fromkeys(joined, joined))
    found = survey.statistics(kg)
    every = sorted(degree[entity] for entity in range(ENTITIES))
    assert found.triplets == {split: len(rows) for split, rows in splits.items()}
    assert found.seen == {
        split: len({e for h, _, t in rows for e in (h, t)}) for split, rows in splits.items()
    }
    assert found.mean_degree == pytest.approx(sum(every) / ENTITIES)
    assert (found.median_degree, found.max_degree) == (every[ENTITIES // 2], every[-1])
    assert degree[found.busiest] == every[-1]
    assert found.density == pytest.approx(len(splits["train"]) / (ENTITIES * ENTITIES * RELATIONS))
    assert found.components == len({frozenset(part) for part in parts.values()})
    assert found.largest == pytest.approx(max(map(len, parts.values())) / len(degree))


@given(graphs)
def test_degrees_and_their_distribution_are_those_of_a_slow_count(kg):
    train, found = sets(kg)["train"], survey.degrees(kg)
    out, into = Counter(h for h, _, _ in train), Counter(t for _, _, t in train)
    for counter, counted in ((out, found.out), (into, found.into), (out + into, found.both)):
        assert counted.tolist() == [counter[entity] for entity in range(ENTITIES)]
        degree, entities = survey.distribution(counted)
        assert dict(zip(degree.tolist(), entities.tolist(), strict=True)) == Counter(counter.values())
        assert degree.tolist() == sorted(degree.tolist())


@given(graphs)
def test_relations_are_those_of_a_slow_count(kg):
    splits = sets(kg)
    for found in survey.relations(kg):
        r = found.relation
        assert found.name == kg.relations[r]
        assert found.triplets == {split: sum(row[1] == r for row in rows) for split, rows in splits.items()}
        mine = [(h, t) for h, s, t in splits["train"] if s == r]
        tails, heads = defaultdict(set), defaultdict(set)
        for h, t in mine:
            tails[h].add(t)
            heads[t].add(h)
        assert (found.heads, found.tails) == (len(tails), len(heads))
        if not mine:
            assert (found.kind, found.tails_per_head, found.loops) == ("", 0, 0)
        else:
            per_head = sum(map(len, tails.values())) / len(tails)
            per_tail = sum(map(len, heads.values())) / len(heads)
            assert found.tails_per_head == pytest.approx(per_head)
            assert found.heads_per_tail == pytest.approx(per_tail)
            assert found.kind == f"{'1' if per_tail < 1.5 else 'many'}-to-{'1' if per_head < 1.5 else 'many'}"
            assert found.loops == pytest.approx(sum(h == t for h, t in mine) / len(mine))
        every = set().union(*splits.values())
        others = [(h, t) for h, s, t in every if s == r and h != t]
        shares = {
            s: sum((t, s, h) in every for h, t in others) / max(len(others), 1) for s in range(RELATIONS)
        }
        assert found.symmetric == pytest.approx(shares.pop(r))
        best = max(shares.values())
        if best >= 0.5:
            assert found.inverse == next(s for s, share in shares.items() if share == best)
            assert found.inverse_share == pytest.approx(best)
        else:
            assert (found.inverse, found.inverse_share) == (None, 0.0)


def test_very_many_relations_between_two_entities_are_not_compared_pair_by_pair():
    """Each is the inverse of each: 20,000 squared pairs of triplets, of which none may be looked at."""
    many = 20_000
    rows = [(0, r, 1) for r in range(many)] + [(1, r, 0) for r in range(many)] + [(2, 0, 3), (3, 1, 2)]
    kg = graph(rows, entities=4, relations=many)
    found = survey.relations(kg)
    assert all(each.symmetric >= 0.5 for each in found)


# --- words -----------------------------------------------------------------------------------------------------


@given(graphs)
def test_findings_count_what_a_slow_count_does(kg):
    splits, found = sets(kg), kinds(kg)
    train = splits["train"]
    seen = {entity for h, _, t in train for entity in (h, t)}
    joined = {frozenset((h, t)) for h, _, t in train}
    turned = {split: sum((t, r, h) in train for h, r, t in splits[split] if h != t) for split in SPLITS[1:]}
    linked = {split: sum(frozenset((h, t)) in joined for h, _, t in splits[split]) for split in SPLITS[1:]}
    strange = {split: sum(not {h, t} <= seen for h, _, t in splits[split]) for split in SPLITS[1:]}
    for kind, counts in (("reversed", turned), ("linked", linked), ("unseen", strange)):
        for split, count in counts.items():
            words = f"{count:,} of {len(splits[split]):,} {split} triplets"
            assert (words in found[kind].sentence if kind in found else False) == (count > 0)
    shared = splits["valid"] & train or splits["test"] & train or splits["test"] & splits["valid"]
    assert ("leakage" in found) == bool(shared)
    assert ("unseen" in found) == (len(seen) < ENTITIES)
    assert ("empty" in found) == (not all(splits.values()))
    assert ("untrained" in found) == (len({r for _, r, _ in train}) < RELATIONS)
    assert ("loops" in found) == any(h == t for rows in splits.values() for h, _, t in rows)
    assert [each.severity for each in found.values()] == sorted(each.severity for each in found.values())
    assert survey.warnings(kg) == [each.sentence for each in found.values()]


def test_relations_that_go_both_ways_and_inverse_ones_are_named():
    both_ways = [(h, 0, h + 1) for h in range(0, 20, 2)]
    there = [(h, 1, 19 - h) for h in range(10)]
    dense = [(h, 3, t) for h in range(20) for t in range(20) if h != t]
    rows = [
        *both_ways,
        *((t, r, h) for h, r, t in both_ways),
        *there,
        *((t, 2, h) for h, _, t in there),
        *dense,
    ]
    found = kinds(graph(rows, entities=20, relations=4))
    assert "2 of 4 relations" in found["symmetric"].sentence and "r00000" in found["symmetric"].sentence
    # r3 joins all pairs, so it has the reverse of everything and is the inverse of nothing.
    assert found["inverse"].sentence.endswith("r00001 of r00002, r00002 of r00001.")


def test_an_inverse_is_found_however_the_split_falls():
    """Of a thousand pairs a split takes a tenth each from both relations: train alone shows eight of ten."""
    there = [(h, 0, h + 1000) for h in range(1000)]
    rows = [*there, *((t, 1, h) for h, _, t in there)]
    random.Random(0).shuffle(rows)
    kg = graph(rows[:1600], rows[1600:1800], rows[1800:], entities=2000, relations=2)
    assert {each.inverse_share for each in survey.relations(kg)} == {1.0}
    assert kinds(kg)["inverse"].sentence.startswith("2 of 2 relations are almost the inverse of another")


def test_a_small_test_split_is_told_with_what_chance_does_there():
    def of(triplets: int) -> survey.Finding | None:
        rows = [(i % 50, 0, i // 50) for i in range(triplets + 1)]
        return kinds(graph(rows[:1], test=rows[1:], entities=100, relations=1)).get("few")

    forty, many = of(40), of(600)
    assert forty is not None and many is not None and of(2000) is None
    assert forty.severity == "caution" and "40 triplets, which are 80 queries" in forty.sentence
    assert "off by 0.11 to either side" in forty.why
    assert many.severity == "note" and "off by 0.03 to either side" in many.why


def test_names_that_look_alike_are_named():
    heads = ["Zürich", "Zu\u0308rich", "zürich", "y z", "y\u00a0z", "a-b", "a b"]
    rows = [(head, "In" if head == "y z" else "in", "x") for head in heads]
    kg = KnowledgeGraph.from_names({"train": rows, "valid": rows, "test": rows}, "x")
    said = kinds(kg)["alike"]
    assert (
        "5 entities" in said.sentence
        and "“y z” and “y\u00a0z”" in said.sentence
        and "2 relations" in said.sentence
    )
    assert "a-b" not in said.sentence


def test_relations_with_one_entity_on_a_side_are_named():
    found = kinds(graph([(0, 0, 1), (2, 0, 1), (0, 1, 1), (1, 1, 2)], relations=2, entities=3))
    assert found["one_entity"].sentence.startswith("1 of 2 relations has only one head or only one tail")
    assert found["one_entity"].sentence.endswith("r00000.")


def test_duplicates_are_those_that_were_dropped_and_nothing_is_said_twice():
    twice = {
        "train": [("a", "likes", "b"), ("a", "likes", "b"), ("b", "likes", "c")],
        "valid": [],
        "test": [],
    }
    header, in_file = Remark("the file had a header"), Duplicates("twice.tsv", 4)
    kg = KnowledgeGraph.from_names(twice, "twice", [header, in_file])
    assert kinds(kg)["duplicates"].sentence == "Triplets that stood there twice were dropped: 1 from train."
    assert kg.read_notes == (header, in_file)
    given = survey.findings(kg, duplicates={"train": 0, "valid": 7})
    assert [each.sentence for each in given if each.kind == "duplicates"] == [
        "Triplets that stood there twice were dropped: 7 from valid."
    ]


def test_a_fact_that_the_findings_tell_of_is_not_told_again():
    told = [survey.Finding(kind, "note", "As counted.", "") for kind in ("reversed", "unseen")]
    facts = [
        Fact("1,086 of 3,134.", ("reversed",)),
        Fact("254 and 875.", ("reversed", "linked")),
        Fact("0.661.", ("floor",)),
        Fact("Be careful."),
    ]
    assert survey.unsaid(facts, told) == facts[1:]


def test_long_names_and_many_are_cut_short():
    rows = [(f"e{i}", "r" * 500 + f"{i:02}", "end") for i in range(30)]
    kg = KnowledgeGraph.from_names({"train": rows, "valid": [], "test": []}, "long")
    sentence = kinds(kg)["one_entity"].sentence
    assert len(sentence) < 400 and sentence.endswith("and 25 more.")


# --- around an entity --------------------------------------------------------------------------------------------


@given(graphs, some.integers(0, ENTITIES - 1), some.integers(0, 40))
def test_a_neighbourhood_is_a_fair_part_of_the_triplets(kg, entity, limit):
    splits = sets(kg)
    every = {(*row, split) for split, rows in splits.items() for row in rows if entity in (row[0], row[2])}
    found = survey.neighbourhood(kg, entity, limit, second_hop=True)
    first = [(link.head, link.relation, link.tail, link.split) for link in found.first]
    assert len(first) == len(set(first)) == min(limit, len(every)) and set(first) <= every
    assert found.total == len(every)
    groups = Counter((r, h == entity) for h, r, _, _ in every)
    shown = Counter((r, h == entity) for h, r, _, _ in first)
    for (r, out), number in groups.items():
        assert number == sum(count for (s, way, _), count in found.totals.items() if (s, way) == (r, out))
        # Nobody has two more than one who could have had another.
        if shown[r, out] < number:
            assert shown[r, out] >= max(shown.values(), default=0) - 1
    around = {e for h, _, t, _ in first for e in (h, t)} - {entity}
    beyond = {
        (*row, split)
        for split, rows in splits.items()
        for row in rows
        if entity not in (row[0], row[2]) and around & {row[0], row[2]}
    }
    second = {(link.head, link.relation, link.tail, link.split) for link in found.second}
    assert second <= beyond and len(found.second) == min(limit, len(beyond)) and found.further == len(beyond)
    assert survey.neighbourhood(kg, entity, limit, second_hop=True) == found


def test_there_is_no_neighbourhood_of_nobody():
    with pytest.raises(IndexError, match="entity 12 is outside"):
        survey.neighbourhood(random_graph(0), 12)


# --- in a terminal ---------------------------------------------------------------------------------------------


def test_a_survey_is_printed_for_people(capsys):
    assert main(["datasets", "umls"]) == 0
    out = capsys.readouterr().out
    assert "5,216 / 652 / 661 train / valid / test" in out and "135 (135 / 131 / 131" in out
    assert "! 81 of 652 valid triplets (12 %) and 97 of 661 test triplets (15 %)" in out
    assert "the 20 largest of 46 relations" in out and "affects" in out
    # What the catalogue knows is said once.
    assert "0.661" in out and out.count("421") == 1


def test_a_survey_of_a_file_for_machines_has_all_relations(tmp_path, capsys):
    rows = [(f"e{i}", f"r{i % 25:02}", f"e{i + 1}") for i in range(100)] + [("e0", "r00", "e0")]
    file = tmp_path / "mine.tsv"
    file.write_text("".join("\t".join(row) + "\n" for row in rows))
    assert main(["datasets", str(file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["relations"]) == 25 and found["statistics"]["entities"] == 101
    assert found["statistics"]["components"] >= 1 and found["facts"] == []
    assert {"kind", "severity", "sentence", "why"} == set(found["findings"][0])
    assert main(["datasets", "umsl"]) == 2
    assert "umls" in capsys.readouterr().err


# --- real data -------------------------------------------------------------------------------------------------

needs_data = pytest.mark.skipif(
    "DANS_DATA_DIR" not in os.environ, reason="needs WN18RR and NELL-995 in DANS_DATA_DIR"
)


def test_umls_says_what_is_known_of_it(umls):
    found = kinds(umls)
    assert "97 of 661 test triplets (15 %)" in found["reversed"].sentence
    assert "421 of 661 test triplets (64 %)" in found["linked"].sentence
    assert "leakage" not in found and "unseen" not in found


@needs_data
def test_wn18rr_says_what_is_known_of_it():
    found = kinds(KnowledgeGraph.load("wn18rr"))
    assert "1,086 of 3,134 test triplets (35 %)" in found["reversed"].sentence
    assert found["unseen"].sentence.startswith("384 entities never occur in train")
    assert "_derivationally_related_form" in found["symmetric"].sentence
    assert "leakage" not in found


@needs_data
def test_nell_995_says_what_is_known_of_it():
    kg = KnowledgeGraph.load("nell-995")
    found = survey.findings(kg, facts=survey.relations(kg))
    assert "1,036 of 5,000 test triplets (21 %)" in {each.kind: each for each in found}["unseen"].sentence
