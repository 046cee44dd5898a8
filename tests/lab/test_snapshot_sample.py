"""Which queries and entities snapshots keep: the rule against a slow one, and what a sample says beside a whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from dans_core import Config, KnowledgeGraph, Trainer
from dans_data.errors import InputError
from dans_lab.export.run_export import (
    Kept,
    embeddings_npz,
    export,
    metadata_tsv,
    negatives,
    vectors_tsv,
    write,
)
from dans_lab.runs import snapshot_sample as studied
from dans_lab.runs.frames import Frame, nearest_entities
from dans_lab.runs.snapshot import snapshot_of
from dans_lab.runs.snapshot_sample import studied_entities, studied_triplets
from tests import small_run

SMALL = {"dim": 16, "negatives": 8, "epochs": 3, "warmup_epochs": 1, "eval_every": 9, "snapshot_every": 9}


def take_turns(sizes: list[int]) -> list[int]:
    """The groups in the order in which they give a member, one after another: the slow rule."""
    given_so_far = [0] * len(sizes)
    order = []
    while len(order) < sum(sizes):
        waiting = [group for group, size in enumerate(sizes) if given_so_far[group] < size]
        next_one = min(
            waiting, key=lambda group: (given_so_far[group] / np.sqrt(sizes[group]), -sizes[group], group)
        )
        given_so_far[next_one] += 1
        order.append(next_one)
    return order


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any), st.randoms())
def test_groups_take_turns_as_the_slow_rule_says(sizes, mixing):
    group = [number for number, size in enumerate(sizes) for _ in range(size)]
    mixing.shuffle(group)
    order = studied._by_turns(np.array(group))
    assert sorted(order.tolist()) == list(range(len(group)))
    assert [group[place] for place in order] == take_turns(sizes)


@pytest.fixture
def few(monkeypatch):
    """A sample is taken from 40 queries or 80 entities on."""
    monkeypatch.setattr(studied, "MOST_QUERIES", 40)
    monkeypatch.setattr(studied, "MOST_ENTITIES", 80)


def test_every_relation_is_represented_and_frequent_ones_more_often(umls, monkeypatch):
    monkeypatch.setattr(studied, "MOST_QUERIES", 400)
    rows = studied_triplets(umls, 16)
    assert len(rows) == 200 and len(np.unique(rows, axis=0)) == 200
    train = {tuple(row) for row in umls.array("train").tolist()}
    assert all(tuple(row) in train for row in rows.tolist())
    kept, whole = (np.bincount(facts[:, 1], minlength=46) for facts in (rows, umls.array("train")))
    assert (kept[whole > 0] >= 1).all() and kept[whole.argmax()] == kept.max() > 5
    np.testing.assert_array_equal(rows, studied_triplets(umls, 16))


def test_more_relations_than_places_leave_the_rarest_out(umls, few):
    rows = studied_triplets(umls, 16)
    sizes = np.bincount(umls.array("train")[:, 1], minlength=46)
    assert len(rows) == 20 == len(set(rows[:, 1]))
    assert sizes[rows[:, 1]].min() >= np.sort(sizes)[-20]


def test_entities_are_those_needed_and_others_from_every_relation(umls, few):
    needed = np.array([7, 3, 3, 99])
    kept = studied_entities(umls, 16, needed)
    assert len(kept) == 80 and (np.diff(kept) > 0).all() and {3, 7, 99} <= set(kept.tolist())
    facts = umls.queries("train")
    covered = {relation for _, relation, answer in facts.tolist() if answer in set(kept.tolist())}
    assert len(covered) > 80, "of 92 relations and reciprocals"
    many = np.arange(100)
    np.testing.assert_array_equal(studied_entities(umls, 16, many), many)


def test_small_graphs_are_kept_whole_and_long_vectors_make_a_smaller_sample(umls):
    assert studied_triplets(umls, 2048) is None and studied_entities(umls, 2048, np.arange(3)) is None
    for dim in (2, 100, 300, 512, 2048):
        queries, entities = studied._sizes(dim)
        assert (queries, entities) == (2000, 6000) if dim <= 300 else queries < 2000
        assert 2 * dim * (2 * queries + entities) <= 6_000_000


@pytest.fixture
def sampled(umls, few) -> tuple[Trainer, dict[str, np.ndarray]]:
    trainer = Trainer(umls, Config(sampler="dans", **SMALL))
    for _ in trainer:
        pass
    return trainer, snapshot_of(trainer)


def test_a_sample_says_what_the_whole_would(umls, sampled, monkeypatch):
    trainer, arrays = sampled
    frame = Frame.of(arrays, umls.num_entities, umls.num_relations)
    monkeypatch.setattr(studied, "MOST_ENTITIES", 8000)
    whole = Frame.of(snapshot_of(trainer), umls.num_entities, umls.num_relations)
    assert frame.is_sample and not whole.is_sample
    np.testing.assert_array_equal(frame.entities, whole.entities[frame.entity_ids])
    np.testing.assert_array_equal(frame.d_entities, whole.d_entities[frame.entity_ids])
    for name in (
        "queries",
        "answers",
        "random",
        "fakes_e",
        "fakes_r",
        "score_true",
        "d_fakes_r",
        "relations",
    ):
        np.testing.assert_array_equal(getattr(frame, name), getattr(whole, name))
    assert frame.median_length == pytest.approx(whole.median_length, rel=2e-2)
    for name, fakes in (("G_E", whole.fakes_e), ("G_R", whole.fakes_r)):
        which = np.arange(len(fakes))
        ids, cosines = frame.nearest(name, which)
        cosine = nearest_entities(fakes, whole.entities)[1]
        np.testing.assert_allclose(cosines, cosine, atol=2e-3)
        # The snapshot's vectors are rounded, so of two that are almost as near it may be the other.
        own = whole.entities[ids]
        lengths = np.linalg.norm(own, axis=1) * np.linalg.norm(fakes, axis=1)
        np.testing.assert_allclose((own * fakes).sum(axis=1) / lengths, cosine, atol=2e-3)


def test_runs_with_other_seeds_keep_the_same_queries_and_entities(umls, few):
    one, two = (snapshot_of(Trainer(umls, Config(sampler="uniform", seed=seed, **SMALL))) for seed in (0, 5))
    for name in ("queries", "answers", "random", "entity_ids"):
        np.testing.assert_array_equal(one[name], two[name])
    assert (one["entities"] != two["entities"]).any()


def test_rows_are_found_by_id(umls, sampled):
    frame = Frame.of(sampled[1], umls.num_entities, umls.num_relations)
    place = {entity: row for row, entity in enumerate(frame.entity_ids.tolist())}
    every = np.arange(umls.num_entities)
    assert frame.rows_of(every).tolist() == [place.get(entity, -1) for entity in every.tolist()]
    assert frame.rows_of(every.reshape(-1, 5)).shape == (27, 5) and frame.rows_of([]).shape == (0,)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.pop("median_length"),
        lambda a: a.pop("nearest_r"),
        lambda a: a.update(entity_ids=a["entity_ids"][::-1]),
        lambda a: a.update(entity_ids=a["entity_ids"] + 500),
        lambda a: a.update(
            answers=np.setdiff1d(np.arange(135), a["entity_ids"])[:1].repeat(len(a["answers"]))
        ),
        lambda a: a.update(cosine_e=a["cosine_e"][1:]),
        lambda a: a.update(entities=a["entities"][1:]),
        lambda a: a.update(median_length=np.ones(3, np.float32)),
    ],
)
def test_a_sample_that_does_not_fit_is_refused_in_words(umls, sampled, change):
    arrays = dict(sampled[1])
    change(arrays)
    with pytest.raises(InputError, match="snapshot"):
        Frame.of(arrays, umls.num_entities, umls.num_relations)


def test_what_is_exported_of_a_sample_goes_with_its_names(umls: KnowledgeGraph, sampled):
    kept = Kept(Frame.of(sampled[1], umls.num_entities, umls.num_relations), umls)
    names = [umls.entities[number] for number in kept.frame.entity_ids]
    assert len(vectors_tsv(kept).splitlines()) == len(names) == 80
    assert [line.split("\t")[0] for line in metadata_tsv(kept).decode().splitlines()[1:]] == names
    assert embeddings_npz(kept)
    rows = list(negatives(kept))
    assert len(rows) == 3 * len(kept.frame.queries)
    drawn = [row for row in rows if row[1] == "random"]
    assert [row[5] for row in drawn] == [umls.entities[number] for number in kept.frame.random]
    assert all(row[6] == 1 for row in drawn)


def test_an_exported_run_whose_snapshots_are_samples_has_all_entities_too(tmp_path, umls, few):
    run = small_run.trained(tmp_path / "runs", "some", dataset="umls")
    write(export(run, "last"), tmp_path / "out")
    assert "80 of 135 entities" in (tmp_path / "out" / "README.md").read_text()
    every = load_file(tmp_path / "out" / "model.safetensors")["entities"]
    assert every.shape[0] == umls.num_entities
    with np.load(tmp_path / "out" / "embeddings.npz") as kept:
        place = {name: row for row, name in enumerate(umls.entities)}
        rows = [place[name] for name in kept["entity_names"]]
        np.testing.assert_allclose(every[rows], kept["entities"], atol=1e-3)
