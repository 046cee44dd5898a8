"""The knowledge graph: ids, reciprocals and the known-answer index, against slow and obvious versions."""

import hashlib
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dans_core.kg import KnowledgeGraph
from dans_data import BUNDLED, SPLITS
from dans_data.errors import InputError
from dans_data.known import KnownAnswers
from dans_data.notes import Duplicates
from tests.examples import examples

COUNTS = {
    "umls": (135, 46, 5216, 652, 661),
    "kinships": (104, 25, 8544, 1068, 1074),
    "nations": (14, 55, 1592, 199, 201),
}

triplets = st.lists(
    st.tuples(st.sampled_from("abcdefg"), st.sampled_from("rst"), st.sampled_from("abcdefg")), max_size=25
)
graphs = st.builds(
    lambda first, train, valid, test: KnowledgeGraph.from_names(
        {"train": [first, *train], "valid": valid, "test": test}, "random"
    ),
    st.tuples(st.sampled_from("abcdefg"), st.sampled_from("rst"), st.sampled_from("abcdefg")),
    triplets,
    triplets,
    triplets,
)


@pytest.fixture(scope="module")
def umls() -> KnowledgeGraph:
    return KnowledgeGraph.load("umls")


def toy(**splits: list[tuple[str, str, str]]) -> KnowledgeGraph:
    whole = {
        "train": [("b", "s", "a"), ("a", "r", "c")],
        "valid": [("c", "r", "a")],
        "test": [("a", "s", "b")],
    }
    return KnowledgeGraph.from_names(whole | splits, "toy")


@pytest.mark.parametrize("name", COUNTS)
def test_bundled(name: str) -> None:
    kg = KnowledgeGraph.load(name)
    assert (kg.num_entities, kg.num_relations, *(len(kg.array(split)) for split in SPLITS)) == COUNTS[name]
    assert kg.notes == ()
    assert list(kg.entities) == sorted(kg.entities)
    assert list(kg.relations) == sorted(kg.relations)


def test_rows_are_the_lines_of_the_file(umls: KnowledgeGraph) -> None:
    for split in SPLITS:
        lines = (BUNDLED / "umls" / f"{split}.txt").read_text().splitlines()
        rows = [
            "\t".join((umls.entities[h], umls.relations[r], umls.entities[t]))
            for h, r, t in umls.array(split)
        ]
        assert sorted(rows) == sorted(lines)


def test_tensors(umls: KnowledgeGraph) -> None:
    for split, tensor in zip(SPLITS, (umls.train, umls.valid, umls.test), strict=True):
        assert tensor.dtype == torch.long
        assert np.array_equal(tensor.numpy(), umls.array(split))
    assert umls.train is umls.train


def test_arrays_cannot_be_written(umls: KnowledgeGraph) -> None:
    umls.train.clone()[0] = 0
    for array in (umls.array("train"), umls.known_answers.answers, umls.answers(0, 0)["train"]):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_ids_are_positions_in_sorted_names() -> None:
    kg = toy()
    assert kg.entities == ("a", "b", "c")
    assert kg.relations == ("r", "s")
    assert kg.array("train").tolist() == [[0, 0, 2], [1, 1, 0]]
    assert repr(kg) == 'KnowledgeGraph("toy": 3 entities, 2 relations, 2 / 1 / 1 triplets)'


def test_queries_are_both_directions() -> None:
    assert toy().queries("train").tolist() == [[0, 0, 2], [1, 1, 0], [2, 2, 0], [0, 3, 1]]


def test_names_and_ids(umls: KnowledgeGraph) -> None:
    assert all(umls.entity_id(name) == i for i, name in enumerate(umls.entities))
    for relation in range(2 * umls.num_relations):
        assert umls.relation_id(umls.relation_name(relation)) == relation
    assert umls.relation_name(46) == f"{umls.relations[0]}⁻¹"
    for outside in (-1, 92):
        with pytest.raises(IndexError):
            umls.relation_name(outside)


@pytest.mark.parametrize(
    ("kind", "wrong", "right"),
    [
        ("entity", "virrus", "virus"),
        ("entity", "VIRUS", "virus"),
        ("relation", "afects", "affects"),
        ("relation", "afects⁻¹", "affects⁻¹"),
    ],
)
def test_unknown_name_suggests(umls: KnowledgeGraph, kind: str, wrong: str, right: str) -> None:
    with pytest.raises(InputError) as caught:
        getattr(umls, f"{kind}_id")(wrong)
    assert str(caught.value).startswith(f'umls has no {kind} "{wrong}"; did you mean "{right}"')


@pytest.mark.parametrize("wrong", ["", "zzzzzzzzzzzz", "⁻¹"])
def test_unknown_name_without_a_likeness(umls: KnowledgeGraph, wrong: str) -> None:
    with pytest.raises(InputError, match=r'^umls has no entity "[^"]*"$'):
        umls.entity_id(wrong)
    with pytest.raises(InputError, match=r'^umls has no relation "[^"]*"'):
        umls.relation_id(wrong)


@given(graphs)
@examples(60)
def test_known_answers_against_a_dict(kg: KnowledgeGraph) -> None:
    oracle: dict[tuple[int, int], set[int]] = defaultdict(set)
    for split in SPLITS:
        for h, r, t in kg.array(split).tolist():
            oracle[h, r].add(t)
            oracle[t, r + kg.num_relations].add(h)
    known = kg.known_answers
    heads, relations = np.divmod(np.arange(kg.num_entities * 2 * kg.num_relations), 2 * kg.num_relations)
    start, stop = known.ranges(heads, relations)
    for h, r, i, j in zip(heads, relations, start, stop, strict=True):
        assert known.answers[i:j].tolist() == sorted(oracle[h, r])
    tails = np.arange(kg.num_entities)
    inside = known.contains(heads[:, None], relations[:, None], tails)
    assert inside.tolist() == [
        [t in oracle[h, r] for t in tails] for h, r in zip(heads, relations, strict=True)
    ]
    assert len(known) == sum(map(len, oracle.values()))


@given(graphs)
@examples(40)
def test_answers_and_split_of_against_a_scan(kg: KnowledgeGraph) -> None:
    for split in SPLITS:
        rows = kg.queries(split).tolist()
        for h, r, t in rows[:3] + rows[-3:]:
            answers = kg.answers(h, r)
            for other in SPLITS:
                scan = sorted({row[2] for row in kg.queries(other).tolist() if row[:2] == [h, r]})
                assert answers[other].tolist() == scan
            assert kg.split_of(h, r, t) == next(s for s in SPLITS if [h, r, t] in kg.queries(s).tolist())


@given(graphs)
@examples(40)
def test_slot_counts_against_a_loop(kg: KnowledgeGraph) -> None:
    loop = np.zeros((2 * kg.num_relations, kg.num_entities), dtype=int)
    for h, r, t in kg.array("train"):
        loop[r, t] += 1
        loop[r + kg.num_relations, h] += 1
    assert np.array_equal(kg.slot_counts(), loop)


def test_split_of_none_and_train_only_index() -> None:
    kg = toy()
    assert kg.split_of(0, 0, 0) is None
    assert kg.split_of(0, 2, 2) == "valid"
    assert not kg.known_in("train").contains(2, 0, 0)
    assert kg.known_answers.contains(2, 0, 0)
    assert kg.known_in("train") is kg.known_in("train")


def test_known_answers_at_the_largest_scale() -> None:
    num_entities, num_relations = 200_000, 400
    last = np.array([[num_entities - 1, num_relations - 1, num_entities - 1], [0, 0, 0]])
    known = KnownAnswers(last, num_entities, num_relations)
    assert known.contains(last[:, 0], last[:, 1], last[:, 2]).all()
    assert not known.contains(num_entities - 1, num_relations - 1, num_entities - 2)


def test_known_answers_without_facts_and_outside_the_graph() -> None:
    known = KnownAnswers(np.zeros((0, 3), dtype=np.int64), 3, 2)
    assert known.contains([0, 1], [0, 1], [0, 1]).tolist() == [False, False]
    assert [bound.tolist() for bound in known.ranges([0], [1])] == [[0], [0]]
    for ids in ([3, 0, 0], [0, 2, 0], [0, 0, 3], [-1, 0, 0], [0, 0, -1]):
        with pytest.raises(IndexError):
            known.contains(*ids)


def test_umls_facts_of_the_method(umls: KnowledgeGraph) -> None:
    """The method counts 1,560 distinct queries in train; no two splits overlap."""
    assert len(np.unique(umls.queries("train")[:, :2], axis=0)) == 1560
    assert len(umls.known_answers) == 2 * (5216 + 652 + 661)
    assert umls.slot_counts().sum() == 2 * 5216


def test_hash_is_of_the_set_of_named_facts(tmp_path: Path, umls: KnowledgeGraph) -> None:
    shuffled = tmp_path / "other-name"
    shuffled.mkdir()
    written = set()
    for split in SPLITS:
        lines = (BUNDLED / "umls" / f"{split}.txt").read_text().splitlines()
        written |= {f"{split}\t{line}\n" for line in lines}
        (shuffled / f"{split}.tsv").write_text(
            "\r\n".join(random.Random(0).sample(lines + lines[:5], len(lines) + 5))
        )
    kg = KnowledgeGraph.load(shuffled)
    assert kg.hash == umls.hash == hashlib.sha256("".join(sorted(written)).encode()).hexdigest()
    assert kg.entities == umls.entities
    for split in SPLITS:
        assert np.array_equal(kg.array(split), umls.array(split))
    assert kg.notes == tuple(Duplicates(split, 5) for split in SPLITS)


def test_hash_tells_graphs_apart() -> None:
    variants = [
        toy(),
        toy(valid=[("c", "r", "b")]),
        toy(valid=[("a", "s", "b")], test=[("c", "r", "a")]),
        KnowledgeGraph([[0, 0, 1]], [], [], ["a", "b"], ["r"], "toy"),
        KnowledgeGraph([[0, 0, 1]], [], [], ["a", "b", "unused"], ["r"], "toy"),
        KnowledgeGraph([[0, 0, 1]], [], [], ["a", "b"], ["r", "unused"], "toy"),
    ]
    assert max(Counter(kg.hash for kg in variants).values()) == 1


def test_notes_in_words() -> None:
    kg = toy(
        valid=[("a", "r", "c"), ("c", "new", "d")], test=[("a", "r", "c"), ("a", "r", "c"), ("d", "r", "e")]
    )
    assert tuple(map(str, kg.notes)) == (
        "duplicate triplets dropped from test: 1",
        "triplets in both train and valid: 1",
        "triplets in both train and test: 1",
        "triplets in both valid and test: 1",
        "entities that never occur in train: 2; triplets with one: 1 valid, 1 test",
        "relations that never occur in train: 1",
    )
    assert kg.split_of(0, kg.relation_id("r"), kg.entity_id("c")) == "train"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train": []}, "train is empty"),
        ({"train": [[0, 0, 2]]}, "train, row 0: tail 2 is outside 0 … 1"),
        ({"valid": [[0, 0, 1], [0, 1, 1]]}, "valid, row 1: relation 1 is outside 0 … 0"),
        ({"test": [[-1, 0, 1]]}, "test, row 0: head -1"),
        ({"test": [[0, 1]]}, "expected integers"),
        ({"test": [0, 0, 1]}, "expected integers"),
        ({"test": [[0.0, 0.0, 1.0]]}, "expected integers"),
        ({"entities": ["b", "a"]}, 'entities must be sorted and distinct, but "b" stands before "a"'),
        ({"entities": ["a", "a"]}, "sorted and distinct"),
        ({"entities": ["", "a"]}, "is empty"),
        ({"entities": ["a", "b "]}, "begins or ends with a space"),
        ({"entities": ["a", "b\tc"]}, "U+0009"),
        ({"entities": ["a", "b\ud800"]}, "U+D800"),
        ({"relations": ["r⁻¹"]}, "kept for reciprocal relations"),
    ],
)
def test_constructor_refuses(change: dict[str, Any], words: str) -> None:
    right: dict[str, Any] = {
        "train": [[0, 0, 1]],
        "valid": [],
        "test": [],
        "entities": ["a", "b"],
        "relations": ["r"],
        "name": "toy",
    }
    KnowledgeGraph(**right)
    with pytest.raises(InputError) as caught:
        KnowledgeGraph(**right | change)
    assert words in str(caught.value)


def test_other_splits_are_refused() -> None:
    with pytest.raises(InputError, match="expected train, valid, test"):
        KnowledgeGraph.from_names({"train": [("a", "r", "b")]}, "toy")
    with pytest.raises(InputError, match='there is no split "dev"'):
        toy().array("dev")
