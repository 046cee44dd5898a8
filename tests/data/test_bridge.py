"""Data sets by PyKEEN's own code; those inside its package, so that no network is needed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from dans_core import KnowledgeGraph
from dans_data import bridge, load
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
