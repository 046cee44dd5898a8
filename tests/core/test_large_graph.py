"""A graph of a million triplets loads in little memory; ids, hash and split are those of the slow and clear way."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dans_core.kg import KnowledgeGraph
from dans_data import BUNDLED, SPLITS, Triplet, load, split_triplets

# --- the slow and clear way ------------------------------------------------------------------------------------


def slow_split(triplets: list[Triplet], seed: int) -> dict[str, list[Triplet]]:
    def order(triplet: Triplet) -> bytes:
        return hashlib.sha256("\t".join((f"dans-split-{seed}", *triplet)).encode()).digest()

    ordered = sorted(set(triplets), key=order)
    entities = Counter(name for head, _, tail in ordered for name in (head, tail))
    relations = Counter(relation for _, relation, _ in ordered)
    train: list[Triplet] = []
    held_out: list[Triplet] = []
    for triplet in ordered:
        ends = Counter((triplet[0], triplet[2]))
        stays = relations[triplet[1]] > 1 and all(entities[name] > uses for name, uses in ends.items())
        if len(held_out) < 2 * round(0.1 * len(ordered)) and stays:
            entities.subtract(ends)
            relations[triplet[1]] -= 1
            held_out.append(triplet)
        else:
            train.append(triplet)
    return {"train": train, "valid": held_out[1::2], "test": held_out[::2]}


def slow_ids(splits: dict[str, list[Triplet]]) -> dict[str, list[list[int]]]:
    entities = sorted({name for rows in splits.values() for head, _, tail in rows for name in (head, tail)})
    relations = sorted({relation for rows in splits.values() for _, relation, _ in rows})
    return {
        split: sorted([entities.index(h), relations.index(r), entities.index(t)] for h, r, t in set(rows))
        for split, rows in splits.items()
    }


def slow_hash(splits: dict[str, list[Triplet]]) -> str:
    lines = sorted("\t".join((split, *triplet)) + "\n" for split in SPLITS for triplet in set(splits[split]))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def slow_notes(splits: dict[str, list[Triplet]]) -> list[str]:
    found = {split: set(rows) for split, rows in splits.items()}
    notes = [
        f"duplicate triplets dropped from {split}: {len(splits[split]) - len(found[split])}"
        for split in SPLITS
        if len(splits[split]) > len(found[split])
    ]
    without = {"valid": ", so training keeps the last weights"}
    notes += [f"{split} is empty{without.get(split, '')}" for split in SPLITS if not splits[split]]
    for first, second in (("train", "valid"), ("train", "test"), ("valid", "test")):
        if shared := len(found[first] & found[second]):
            notes.append(f"triplets in both {first} and {second}: {shared}")
    shown = {name for head, _, tail in found["train"] for name in (head, tail)}
    every = {name for rows in found.values() for head, _, tail in rows for name in (head, tail)}
    if unseen := every - shown:
        touched = ", ".join(
            f"{sum(head in unseen or tail in unseen for head, _, tail in found[split])} {split}"
            for split in SPLITS[1:]
        )
        notes.append(f"entities that never occur in train: {len(unseen)}; triplets with one: {touched}")
    relations = {relation for rows in found.values() for _, relation, _ in rows}
    if count := len(relations - {relation for _, relation, _ in found["train"]}):
        notes.append(f"relations that never occur in train: {count}")
    return notes


# Their order by code points is that of their bytes in UTF-8, by which a hash is sorted.
names = st.sampled_from(["a", "b", "B", "ab", "a b", "é", "z", "\U0001f600", "中", "10", "9"])
rows = st.lists(st.tuples(names, st.sampled_from(["r", "s", "é", "R"]), names), max_size=40)


@given(rows.filter(bool), rows, rows)
def test_a_graph_is_that_of_the_slow_way(
    train: list[Triplet], valid: list[Triplet], test: list[Triplet]
) -> None:
    splits = {"train": train, "valid": valid, "test": test}
    graph = KnowledgeGraph.from_names(splits, "kg")
    assert {split: graph.array(split).tolist() for split in SPLITS} == slow_ids(splits)
    assert list(map(str, graph.notes)) == slow_notes(splits)
    assert graph.hash == slow_hash(splits)


@given(rows, st.integers(0, 3))
def test_a_split_is_that_of_the_slow_way(triplets: list[Triplet], seed: int) -> None:
    assert split_triplets(triplets, seed) == slow_split(triplets, seed)


@pytest.mark.parametrize("name", ["umls", "kinships", "nations"])
def test_the_bundled_are_those_of_the_slow_way(name: str) -> None:
    splits = dict(load(name).splits)
    assert KnowledgeGraph.load(name).hash == slow_hash(splits)
    whole = [triplet for split in SPLITS for triplet in splits[split]]
    assert split_triplets(whole) == slow_split(whole, 0)


# --- large -----------------------------------------------------------------------------------------------------


def lines_of(triplets: int, entities: int, seed: int = 0) -> list[str]:
    """A graph with a few busy entities, as real ones have; every entity occurs."""
    rng = np.random.default_rng(seed)
    heads = (entities * rng.random(triplets) ** 2).astype(int)
    heads[:entities] = np.arange(entities)
    relations = (300 * rng.random(triplets) ** 2).astype(int)
    tails = (entities * rng.random(triplets)).astype(int)
    spelled = [f"/m/entity_{i:06d}_{(i * 7919) % 99991}" for i in range(entities)]
    return [
        f"{spelled[h]}\trelation/number_{r}\t{spelled[t]}\n"
        for h, r, t in zip(heads.tolist(), relations.tolist(), tails.tolist(), strict=True)
    ]


MEASURE = r"""
import json, re, sys
from pathlib import Path
from dans_core.kg import KnowledgeGraph
graph = KnowledgeGraph.load(sys.argv[1])
found = {"hash": graph.hash, "entities": graph.num_entities}
# Unlike ru_maxrss this leaves out what the parent had.
found["gigabytes"] = int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1e6
print(json.dumps(found | {"triplets": sum(len(graph.array(split)) for split in ("train", "valid", "test"))}))
"""


def measured(source: Path) -> dict[str, float]:
    """Loading and hashing in a process of its own: the most memory it had."""
    root = BUNDLED.parents[1]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(source)], cwd=root, capture_output=True, check=True
    )
    return json.loads(done.stdout)


def check_memory(folder: Path, triplets: int, entities: int, gigabytes: float) -> None:
    lines = lines_of(triplets, entities)
    distinct = len(set(lines))
    (folder / "kg.tsv").write_text("".join(lines))
    (folder / "kg").mkdir()
    for place, split in enumerate(SPLITS):
        (folder / "kg" / f"{split}.tsv.gz").write_bytes(gzip.compress("".join(lines[place::3]).encode(), 1))
    for source in (folder / "kg.tsv", folder / "kg"):
        found = measured(source)
        assert found["entities"] == entities
        assert distinct - 10 <= found["triplets"] <= triplets
        assert found["gigabytes"] < gigabytes


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="needs /proc to measure memory"
)


@needs_proc
def test_a_hundred_thousand_triplets(tmp_path: Path) -> None:
    check_memory(tmp_path, 100_000, 20_000, gigabytes=0.25)


@needs_proc
@pytest.mark.slow
def test_a_million_triplets(tmp_path: Path) -> None:
    check_memory(tmp_path, 1_000_000, 200_000, gigabytes=1.0)
