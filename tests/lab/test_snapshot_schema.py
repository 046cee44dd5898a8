"""What a snapshot holds: files are as the schema says, and so is all that is said of them."""

from __future__ import annotations

import dataclasses
import io
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from dans_core import Config, Trainer
from dans_lab.runs import snapshot_sample
from dans_lab.runs.frames import Frame
from dans_lab.runs.snapshot import snapshot_of
from dans_lab.runs.snapshot_schema import (
    D_AUX,
    GAN,
    MOST_RELATION_NUMBERS,
    SAMPLE,
    SCHEMA,
    SYMBOLS,
    described,
    file_bytes,
    packed,
)
from tests import large_run, small_run

ROOT = Path(__file__).resolve().parents[2]
DIM = 8
SMALL = {"dim": DIM, "epochs": 2, "warmup_epochs": 0, "negatives": 8}
BOTH = {"G_E", "G_R", GAN}

RUNS = {
    "uniform": ({"sampler": "uniform"}, set()),
    "DANS": ({}, BOTH | {D_AUX}),
    "RotatE": ({"decoder": "rotate"}, BOTH | {D_AUX}),
    "without D_aux": ({"aux_weight": 0.0}, BOTH),
    "G_E": ({"pathways": "G_E"}, {"G_E", GAN}),
    "G_R": ({"pathways": "G_R"}, {"G_R", GAN}),
    "conditional D": ({"conditional_d": True}, BOTH | {D_AUX}),
}


@pytest.fixture(
    params=product(RUNS, (False, True)), ids=lambda case: f"{case[0]}{', sample' if case[1] else ''}"
)
def snapshot(request, umls, nations, monkeypatch):
    """The arrays of a run, the sizes that the schema's symbols stand for, and what the run has."""
    (name, sample), graph = request.param, nations
    settings, there = RUNS[name]
    if sample:
        graph, there = umls, there | {SAMPLE}
        monkeypatch.setattr(snapshot_sample, "MOST_QUERIES", 100)
        monkeypatch.setattr(snapshot_sample, "MOST_ENTITIES", 60)
    trainer = Trainer(graph, Config(**SMALL, **settings))
    list(trainer)
    arrays = snapshot_of(trainer)
    sizes = {
        "N": graph.num_entities,
        "S": len(arrays["entity_ids"]) if sample else graph.num_entities,
        "2R": 2 * graph.num_relations,
        "Q": len(arrays["queries"]),
        "C": len(np.unique(arrays["queries"][:, 0])),
        "d": DIM,
        "d_r": DIM // 2 if settings.get("decoder") == "rotate" else DIM,
    }
    return arrays, sizes, there, graph


def test_a_run_writes_what_the_schema_says(snapshot):
    arrays, sizes, there, graph = snapshot
    assert set(arrays) == {name for name, each in SCHEMA.items() if set(each.needs) <= there}
    for name, array in arrays.items():
        each = SCHEMA[name]
        assert array.dtype == each.type and array.shape == each.sizes(sizes), name
        for column, limit in enumerate(each.below):
            ids = array[:, column] if len(each.below) > 1 else array
            assert ids.min() >= 0 and ids.max() < sizes[limit], name
    frame = Frame.of(arrays, graph.num_entities, graph.num_relations)
    assert frame.has_fakes == (GAN in there) and frame.is_sample == (SAMPLE in there)
    assert set(frame.pathways) == there & {"G_E", "G_R"} and frame.has_aux == (D_AUX in there)


def test_what_a_file_does_not_hold_is_nan_or_has_no_rows(snapshot):
    arrays, sizes, there, graph = snapshot
    frame = Frame.of(arrays, graph.num_entities, graph.num_relations)
    for name, each in SCHEMA.items():
        value = np.asarray(getattr(frame, name))
        if name in arrays:
            assert value.shape == each.sizes(sizes)
        elif name == "entity_ids":
            assert value.tolist() == list(range(graph.num_entities))
        elif name == "median_length":
            assert value == np.median(np.linalg.norm(arrays["entities"].astype(np.float32), axis=1))
        elif each.shape and not {"G_E", "G_R", SAMPLE}.isdisjoint(set(each.needs) - there):
            assert len(value) == 0, name
        else:
            assert np.isnan(value).all() and value.shape == each.sizes(sizes), name


def test_the_size_of_a_file_follows(snapshot):
    arrays, sizes, there, _ = snapshot
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    assert file_bytes(sizes, there) == pytest.approx(len(stream.getvalue()), rel=0.03, abs=600)


def test_relations_too_long_for_a_sample_have_no_size():
    sizes = {"N": 9, "S": 5, "2R": MOST_RELATION_NUMBERS, "Q": 4, "C": 3, "d": 2, "d_r": 2}
    assert file_bytes(sizes, {SAMPLE}) < 10_000 < file_bytes(sizes, set())


def test_what_is_not_in_the_schema_is_not_written_and_large_numbers_are_not_cut():
    with pytest.raises(KeyError, match="surprise"):
        packed({"epoch": 3, "surprise": 1})
    found = packed({"entities": np.full((2, 2), 1e6, np.float32), "score_true": np.ones(2, np.float32)})
    assert found["entities"].dtype == np.float32 and (found["entities"] == 1e6).all()
    assert found["score_true"].dtype == np.float16


def test_a_frame_has_the_arrays_of_the_schema_and_so_have_the_snapshots_that_tests_make(nations, tmp_path):
    assert {field.name for field in dataclasses.fields(Frame)} == SCHEMA.keys() | {"num_entities"}
    assert small_run.arrays(nations, 0).keys() == {
        n for n, each in SCHEMA.items() if SAMPLE not in each.needs
    }
    large = large_run.graph(tmp_path / "large", 7_000, 9_000, 20)
    assert large_run.arrays(large, 0, 8).keys() == SCHEMA.keys()


@pytest.mark.parametrize("name", list(SCHEMA))
def test_an_array_of_another_shape_or_kind_is_told_in_one_sentence(nations, name):
    arrays = small_run.arrays(nations, 5) | {
        "relations": np.zeros((2 * nations.num_relations, 8), np.float16)
    }
    whole = np.issubdtype(SCHEMA[name].type, np.integer)
    right = arrays.get(name, np.zeros(SCHEMA[name].shape and 1))
    for wrong in (np.array("x"), np.zeros((2, 2, 2)), right.astype(np.float32 if whole else np.int64)):
        with pytest.raises(ValueError, match=r"^the snapshot[^\n]*$"):
            Frame.of(arrays | {name: wrong}, nations.num_entities, nations.num_relations)


def test_the_readme_has_the_schema_as_it_is():
    assert described() in (ROOT / "README.md").read_text(encoding="utf-8")
    used = {symbol for each in SCHEMA.values() for symbol in each.shape if not symbol.isdecimal()}
    assert used <= SYMBOLS.keys()
