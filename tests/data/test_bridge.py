"""Data sets by PyKEEN's own code; those inside its package, so that no network is needed."""

from __future__ import annotations

import importlib.util
from importlib import metadata
from pathlib import Path

import pytest

from dans_core import KnowledgeGraph
from dans_data import SPLITS, bridge, load
from dans_data.errors import InputError

pytest.importorskip("pykeen")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DANS_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        # Where PyKEEN would keep things of its own accord.
        home = tmp_path_factory.mktemp("home")
        patch.setenv("HOME", str(home))
        patch.setenv("PYKEEN_HOME", str(home / "pykeen"))
        yield home


@pytest.mark.parametrize("name", ["nations", pytest.param("UMLS", marks=pytest.mark.slow)])
def test_the_same_graph_as_the_bundled_one(name: str, cache: Path) -> None:
    kg = KnowledgeGraph.load(f"pykeen:{name}")
    assert kg.hash == KnowledgeGraph.load(name.lower()).hash
    assert kg.name == f"pykeen:{name.lower()}"
    assert "as PyKEEN 1." in str(kg.notes[0]) and "left out" in str(kg.notes[0])
    assert list(cache.iterdir()) == []


def test_the_second_time_pykeen_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    first = load("pykeen:nations")
    # A Python that does not exist.
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    assert load("pykeen:Nations") == first
    with pytest.raises(InputError):
        load("pykeen:kinships")


PUBLISHED = {
    "FB15k-237": (14_505, 237, 272_115, 17_526, 20_438),
    "CoDEx-S": (2_034, 42, 32_888, 1_827, 1_828),
    "YAGO3-10": (123_143, 37, 1_079_040, 4_978, 4_982),
}
"""Entities, relations, and triplets of train, valid and test as PyKEEN documents them."""


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_large_one_has_the_counts_of_its_documentation(name: str) -> None:
    try:
        kg = KnowledgeGraph.load(f"pykeen:{name}")
    except InputError as error:
        if "check the network" not in str(error):
            raise
        pytest.skip(f"PyKEEN cannot download {name} here: {error}")
    counts = (kg.num_entities, kg.num_relations, *map(len, (kg.train, kg.valid, kg.test)))
    assert counts == PUBLISHED[name]


def test_a_name_of_the_papers_is_pykeens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANS_CACHE_DIR", str(tmp_path))
    folder = tmp_path / "pykeen" / "as-text" / f"codexsmall-{metadata.version('pykeen')}"
    folder.mkdir(parents=True)
    for split in SPLITS:
        (folder / f"{split}.txt").write_text("a\tr\tb\n")
    assert load("pykeen:CoDEx-S").name == load("pykeen:codex-small").name == "pykeen:codexsmall"


def test_unknown_names() -> None:
    with pytest.raises(InputError, match=r'^PyKEEN has no data set "natoins"; did you mean "nations"\?$'):
        load("pykeen:natoins")
    with pytest.raises(InputError, match="expected pykeen:NAME, such as pykeen:nations"):
        load("pykeen:")


def test_without_pykeen(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        bridge.importlib.util, "find_spec", lambda name: None if name == "pykeen" else find(name)
    )
    with pytest.raises(
        InputError, match=r"needs PyKEEN, which is not installed; install it by: pip install pykeen"
    ):
        load("pykeen:nations")
