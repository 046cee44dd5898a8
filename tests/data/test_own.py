"""A person's own data sets: kept whole, known by name, taken away again."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path

import pytest

import dans_data as datasets
from dans_core import KnowledgeGraph
from dans_data import Dataset, available, load, own, places
from dans_data.errors import InputError
from dans_lab.cli import main

LINES = [f"e{i % 9}\tr{i % 2}\te{(i * 5 + 1) % 11}" for i in range(60)]


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("DANS_DATA_DIR", raising=False)
    monkeypatch.setenv("DANS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DANS_OWN_DIR", str(tmp_path / "data" / "own"))
    return tmp_path / "data"


@pytest.fixture
def mine(tmp_path: Path) -> Dataset:
    (tmp_path / "My graph.tsv").write_text("\n".join(LINES + LINES[:3]))
    return load(tmp_path / "My graph.tsv", split_seed=5)


def refusal(action, *arguments: object) -> str:
    with pytest.raises(InputError) as caught:
        action(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def info_of(name: str) -> datasets.DatasetInfo:
    return next(info for info in available() if info.name == name)


def test_added_data_is_the_same_data_under_its_name(mine: Dataset, kept: Path) -> None:
    place = own.add(mine, "my-graph", original="My graph.tsv")
    assert place == kept / "own" / "my-graph"
    assert sorted(path.name for path in place.iterdir()) == [
        "about.json",
        "test.txt",
        "train.txt",
        "valid.txt",
    ]
    found = load("my-graph")
    assert (found.name, found.splits) == ("my-graph", mine.splits)
    assert list(map(str, found.notes)) == list(map(str, mine.notes))
    about = json.loads((place / "about.json").read_text())
    assert (about["title"], about["original"], about["split_seed"]) == (mine.name, "My graph.tsv", 5)
    assert about["hash"] == KnowledgeGraph.load("my-graph").hash
    assert datetime.fromisoformat(about["added"]).tzinfo is not None
    assert own.names() == ["my-graph"]


def test_it_is_listed_with_its_counts(mine: Dataset) -> None:
    place = own.add(mine, "my-graph", title="My *graph*", original="My graph.tsv")
    info, kg = info_of("my-graph"), KnowledgeGraph.load("my-graph")
    assert (info.where, info.here, info.own, info.problem) == ("own", True, True, "")
    assert info.title == "My *graph*" and "My graph.tsv" in info.description
    counts = (kg.num_entities, kg.num_relations, *(len(kg.array(split)) for split in datasets.SPLITS))
    assert (info.entities, info.relations, info.train, info.valid, info.test) == counts
    # The noted counts are those of the files only while the files stay.
    with (place / "train.txt").open("a") as stream:
        stream.write("new\tr0\tnewer\n")
    assert (info_of("my-graph").train, info_of("my-graph").entities) == (
        info.train + 1,
        info.entities + 2,
    )
    (place / "about.json").write_text('{"counts": ["many"], "stamps": 3, "notes": "x", "title": null}')
    assert (info_of("my-graph").train, info_of("my-graph").title) == (info.train + 1, "my-graph")
    (place / "about.json").unlink()
    assert load("my-graph").notes == ()


@pytest.mark.parametrize("name", ["", "A", "ä", "../x", "a/b", "a b", "x" * 41, ".", "con.txt", "a\n"])
def test_bad_names(mine: Dataset, kept: Path, name: str) -> None:
    assert "cannot name a data set; expected 1 to 40 of a-z, 0-9" in refusal(own.add, mine, name)
    assert not kept.exists()


def test_taken_names(mine: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own.add(mine, "mine")
    (tmp_path / "theirs" / "theirs").mkdir(parents=True)
    (tmp_path / "theirs" / "theirs" / "train.txt").write_text("a\tr\tb\n")
    monkeypatch.setenv("DANS_DATA_DIR", str(tmp_path / "theirs"))
    for name in ("umls", "wn18rr", "mine", "theirs"):
        assert refusal(own.add, mine, name) == (f'there is a data set "{name}" already; choose another name')


def test_what_cannot_be_loaded_is_not_kept(kept: Path) -> None:
    one = [("a", "r", "b")]
    assert "has no test triplets" in refusal(
        own.add, Dataset("x", {"train": one, "valid": one, "test": []}), "x"
    )
    tab = {"train": one, "valid": one, "test": [("a\tb", "r", "c")]}
    assert refusal(own.add, Dataset("x", tab), "x")
    assert own.names() == [] and not (kept / "own" / "x").exists()


def test_remove(mine: Dataset, kept: Path) -> None:
    assert refusal(own.remove, "umls") == (
        '"umls" is not one of your own data sets, and only those can be removed; you have added none'
    )
    own.add(mine, "one")
    own.add(mine, "two")
    assert "yours are one, two" in refusal(own.remove, "../own/one")
    assert refusal(own.remove, "tow").endswith('did you mean "two"?')
    own.remove("one")
    assert own.names() == ["two"] and not list((kept / "own").glob("one*"))
    assert 'there is no data set "one"' in refusal(load, "one")
    own.add(mine, "one")
    assert own.names() == ["one", "two"]


def test_what_a_killed_process_left_is_no_data_set(mine: Dataset, kept: Path) -> None:
    left = kept / "own" / "mine.partial-12345678"
    left.mkdir(parents=True)
    (left / "train.txt").write_text("a\tr\tb\n")
    assert own.names() == [] and all(not info.own for info in available())
    own.add(mine, "mine")
    assert not left.exists()


def test_a_damaged_one_is_listed_with_its_problem(mine: Dataset) -> None:
    (own.add(mine, "mine") / "valid.txt").write_text("a\tb\n")
    assert "valid.txt, line 1: 2 columns" in info_of("mine").problem


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("My Graph (v2)", "my-graph-v2"),
        ("…", "my-data"),
        ("x" * 60, "x" * 40),
        ("Ärzte & Straße", "arzte-strasse"),
    ],
)
def test_suggested_name(text: str, name: str) -> None:
    assert own.suggested_name(text) == name
    assert own.name_error(name) is None


def test_a_name_that_cannot_be_is_mended_and_said(mine: Dataset, tmp_path: Path, capsys) -> None:
    path = str(tmp_path / "My graph.tsv")
    assert main(["datasets", "--add", path, "--name", "Our Graph: 2nd"]) == 0
    said = capsys.readouterr().out
    assert 'note: it is called our-graph-2nd, since "Our Graph: 2nd" cannot name a data set' in said
    assert own.names() == ["our-graph-2nd"]
    assert main(["datasets", "--add", path, "--name", "plain"]) == 0
    assert "it is called" not in capsys.readouterr().out


def test_what_was_kept_in_the_cache_once_is_found_shown_and_removed(mine: Dataset, kept: Path) -> None:
    former = kept.parent / "cache" / "own" / "old"
    former.parent.mkdir(parents=True)
    own.add(mine, "old").rename(former)
    assert own.names() == ["old"] and load("old").splits == mine.splits
    assert info_of("old").own and info_of("old").path == former
    assert "already" in refusal(own.add, mine, "old")
    assert own.add(mine, "new").parent == kept / "own"
    assert own.names() == ["new", "old"]
    own.remove("old")
    assert own.names() == ["new"] and not former.exists()


def test_the_folder_is_one_for_data_where_none_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DANS_OWN_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    assert "cache" not in str(places.own_place("x")).lower()
    if sys.platform == "linux":
        assert places.own_place("x") == tmp_path / "share" / "dans-lab" / "own" / "x"


def test_in_the_terminal(mine: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "My graph.tsv")
    assert main(["datasets", "--add", path, "--split-seed", "5"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("added my-graph: ") and "note: one file, split here" in said
    assert load("my-graph").splits == mine.splits
    assert main(["datasets", "--add", path, "--name", "again", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == str(places.own_place("again"))
    assert main(["datasets"]) == 0
    said = capsys.readouterr().out
    assert "yours" in said and "bundled" in said and "can be downloaded (3.4 MB)" in said
    assert main(["datasets", "--json"]) == 0
    listed = {info["name"]: info for info in json.loads(capsys.readouterr().out)}
    assert listed["again"]["own"] and listed["again"]["here"] and not listed["wn18rr"]["here"]
    assert main(["datasets", "--remove", "again"]) == 0
    assert capsys.readouterr().out == "removed again\n"
    assert own.names() == ["my-graph"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--remove", "umls"], "only those can be removed"),
        (["--remove", "a", "--add", "b"], "--add and --remove cannot be used together"),
        (["umls", "--download", "umls"], "NAME and --download cannot be used together"),
        (["--name", "x"], "--name goes with --add PATH"),
        (["--split-seed", "1"], "--split-seed goes with --add PATH"),
        (["--download", "freebase"], 'no data set "freebase" to download'),
        (["--add", "/nowhere/umls.tsv"], "--name NAME gives it another"),
        (["--add", "/nowhere/x.tsv"], "/nowhere/x.tsv does not exist"),
        (["--add", "x", "--name", "数据"], '"数据" cannot name a data set'),
    ],
)
def test_mistakes_in_the_terminal(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["datasets", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == "" and words in said.err and said.err.count("\n") == 1
