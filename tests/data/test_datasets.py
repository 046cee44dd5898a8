"""Data sets as a person gives them: names, folders and files, good and bad, all real files."""

import hashlib
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dans_data as datasets
from dans_data import BUNDLED, SPLITS, load, read_triplets, split_triplets
from dans_data.errors import InputError
from dans_data.notes import SplitHere

COUNTS = {
    "umls": (135, 46, 5216, 652, 661),
    "kinships": (104, 25, 8544, 1068, 1074),
    "nations": (14, 55, 1592, 199, 201),
}
LINE = "a\tr\tb\n"

names = st.sampled_from("abcdefghij")
many_triplets = st.lists(st.tuples(names, st.sampled_from("rs"), names), min_size=1, max_size=80)


@pytest.fixture(autouse=True)
def _no_data_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DANS_DATA_DIR", raising=False)
    monkeypatch.delenv("DANS_LIMITS", raising=False)


def folder(
    path: Path, train: str | bytes = LINE, valid: str | bytes = LINE, test: str | bytes = LINE
) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for split, text in zip(SPLITS, (train, valid, test), strict=True):
        (path / f"{split}.txt").write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refusal(source: str | Path) -> str:
    with pytest.raises(InputError) as caught:
        load(source)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def lines(count: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    found: set[str] = set()
    while len(found) < count:
        found.add(f"e{rng.randrange(20)}\tr{rng.randrange(3)}\te{rng.randrange(20)}")
    return sorted(found)


@pytest.mark.parametrize("name", COUNTS)
def test_bundled_counts(name: str) -> None:
    found = load(name)
    assert found.name == name
    assert tuple(len(found.splits[split]) for split in SPLITS) == COUNTS[name][2:]
    assert found.notes == ()


def test_checksums_are_those_of_the_sources_file() -> None:
    text = (BUNDLED / "SOURCES.md").read_text(encoding="utf-8")
    written = {path: digest for digest, path in re.findall(r"^ +([0-9a-f]{64})  (\S+)$", text, re.MULTILINE)}
    assert len(written) == 9
    for path, digest in written.items():
        assert hashlib.sha256((BUNDLED / path).read_bytes()).hexdigest() == digest


def test_available_lists_the_bundled_with_counts() -> None:
    listed = {
        info.name: (info.entities, info.relations, info.train, info.valid, info.test)
        for info in datasets.available()
        if info.here
    }
    assert listed == COUNTS
    assert all(info.origin and info.description and not info.problem for info in datasets.available())
    assert {info.name for info in datasets.available() if not info.here} == {"wn18rr", "nell-995"}


def test_data_dir_adds_names_and_tells_of_broken_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path / "mine", train="x\tr\ty\nx\tr\ty\n")
    folder(tmp_path / "broken", valid="a\tb\n")
    folder(tmp_path / "umls")
    (tmp_path / "no-data").mkdir()
    monkeypatch.setenv("DANS_DATA_DIR", str(tmp_path))
    listed = {info.name: info for info in datasets.available()}
    assert list(listed) == [*sorted(COUNTS), "broken", "mine", "wn18rr", "nell-995"]
    assert (listed["mine"].entities, listed["mine"].relations, listed["mine"].train) == (4, 1, 1)
    assert "valid.txt, line 1: 2 columns" in listed["broken"].problem
    assert load("mine").splits["valid"] == [("a", "r", "b")]
    assert len(load("umls").splits["train"]) == 5216


def test_counts_are_renewed_when_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path / "mine")
    monkeypatch.setenv("DANS_DATA_DIR", str(tmp_path))
    assert next(info.train for info in datasets.available() if info.name == "mine") == 1
    folder(tmp_path / "mine", train=LINE + "c\tr\td\n")
    assert next(info.train for info in datasets.available() if info.name == "mine") == 2


def test_tolerated_on_the_way_in(tmp_path: Path) -> None:
    text = '\ufeffa \tr\t b\r\n\r\n   \r\nwörd one\tr s\tß,"q"\r\n'
    found = load(folder(tmp_path / "tolerant", train=text))
    assert found.name == "tolerant"
    assert found.splits["train"] == [("a", "r", "b"), ("wörd one", "r s", 'ß,"q"')]


def test_tsv_and_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path / "umls")
    (tmp_path / "umls" / "test.txt").rename(tmp_path / "umls" / "test.tsv")
    monkeypatch.chdir(tmp_path)
    assert len(load("./umls").splits["test"]) == 1
    assert len(load(Path("umls")).splits["test"]) == 1
    assert len(load("umls").splits["test"]) == 661
    monkeypatch.chdir(tmp_path / "umls")
    assert load(".").name == "umls"
    assert load("../umls").name == "umls"


BAD_LINES: dict[str, tuple[str | bytes, str]] = {
    "one column": ("a r b\n", "1 column, expected 3"),
    "two columns": ("a\tb\n", "2 columns, expected 3: head, relation, tail separated by tabs"),
    "four columns": ("a\tr\tb\t0.5\n", "4 columns, expected 3"),
    "no head": ("\tr\tb\n", "the name of the head is empty"),
    "no relation": ("a\t \tb\n", "the name of the relation is empty"),
    "no tail": ("a\tr\t\n", "the name of the tail is empty"),
    "only tabs": ("\t\t\n", "empty"),
    "escape": ("a\x1b[31m\tr\tb\n", "U+001B"),
    "carriage return": ("a\tr\tb\rc\tr\td\n", "U+000D"),
    "next line": ("a\x85\tr\tb\n", "U+0085"),
    "line separator": ("a\u2028\tr\tb\n", "U+2028"),
    "byte order mark": ("\ufeffa\tr\tb\n", "U+FEFF"),
    "zero byte": ("a\tr\x00\tb\n", "not text"),
    "not UTF-8": (b"a\tr\t\xff\xfe\n", "not UTF-8"),
    "latin-1": ("caf\u00e9\tr\tb\n".encode("latin-1"), "not UTF-8"),
    "reciprocal": ("a\tr⁻¹\tb\n", "kept for reciprocal relations"),
}


@pytest.mark.parametrize("case", BAD_LINES)
@pytest.mark.parametrize("split", SPLITS)
def test_bad_line_is_named(tmp_path: Path, case: str, split: str) -> None:
    bad, words = BAD_LINES[case]
    data = (LINE + "\n").encode() + (bad.encode() if isinstance(bad, str) else bad) + LINE.encode()
    path = folder(tmp_path / "kg", **{split: data})
    sentence = refusal(path)
    assert sentence.startswith(f"{path / split}.txt, line 3: ")
    assert words in sentence


def test_a_header_is_no_triplet(tmp_path: Path) -> None:
    path = folder(tmp_path / "kg", train="Head\tTail\tRelation\na\tb\tr\n")
    assert load(path).splits["train"] == [("a", "r", "b")]


def test_utf16_is_read_by_its_mark_and_refused_without(tmp_path: Path) -> None:
    path = folder(tmp_path / "kg", train=("Zürich" + LINE).encode("utf-16"))
    assert load(path).splits["train"][0][0].startswith("Zürich")
    path = folder(tmp_path / "unmarked", train=(50 * LINE).encode("utf-16-le"))
    assert "this is UTF-16, which editors call Unicode; save it as UTF-8" in refusal(path)


@pytest.mark.parametrize("split", SPLITS)
def test_missing_and_empty_split(tmp_path: Path, split: str) -> None:
    empty = folder(tmp_path / "empty", **{split: "\n \n"})
    if split == "valid":
        assert load(empty).splits["valid"] == [] and load(empty).splits["train"]
    else:
        assert f"{empty / split}.txt holds no triplets" in refusal(empty)
    missing = folder(tmp_path / "missing")
    (missing / f"{split}.txt").unlink()
    words = "has no train.txt" if split == "train" else f"there is no file for {split}, and "
    assert words in refusal(missing)


def test_odd_things_in_place_of_a_file(tmp_path: Path) -> None:
    both = folder(tmp_path / "both")
    (both / "test.tsv").write_text(LINE)
    assert "both test.tsv and test.txt" in refusal(both)

    inner = folder(tmp_path / "inner")
    (inner / "valid.txt").unlink()
    (inner / "valid.txt").mkdir()
    assert f"{inner / 'valid.txt'} is a folder" in refusal(inner)

    dangling = folder(tmp_path / "dangling")
    (dangling / "valid.txt").unlink()
    (dangling / "valid.txt").symlink_to(tmp_path / "nowhere")
    assert f"{dangling / 'valid.txt'} is not a file that can be read" in refusal(dangling)

    pipe = folder(tmp_path / "pipe")
    (pipe / "valid.txt").unlink()
    os.mkfifo(pipe / "valid.txt")
    assert f"{pipe / 'valid.txt'} is not a file that can be read" in refusal(pipe)
    assert "neither a folder nor a file that can be read" in refusal(pipe / "valid.txt")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens and cannot be read")
def test_unreadable_file(tmp_path: Path) -> None:
    path = folder(tmp_path / "kg")
    (path / "train.txt").unlink()
    (path / "train.txt").symlink_to("/proc/self/mem")
    assert f"{path / 'train.txt'} cannot be read (" in refusal(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_forbidden_file(tmp_path: Path) -> None:
    path = folder(tmp_path / "kg")
    (path / "train.txt").chmod(0)
    assert f"{path / 'train.txt'} cannot be read (Permission denied)" in refusal(path)


def test_unknown_name_suggests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    sentence = refusal("UMSL")
    assert 'there is no data set "UMSL"; expected kinships, nations, umls' in sentence
    assert sentence.endswith('did you mean "umls"?')
    monkeypatch.setenv("DANS_DATA_DIR", str(tmp_path / "gone"))
    assert f"the folder {tmp_path / 'gone'} named by DANS_DATA_DIR does not exist" in refusal("wn18r")


@pytest.mark.parametrize(
    "source", ["", "nothing", "./nothing", "x.tsv", "../../../nothing", "\0", "y" * 5000, "~no1/x"]
)
def test_nothing_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str) -> None:
    monkeypatch.chdir(tmp_path)
    sentence = refusal(source)
    # What is too long for a sentence is cut.
    shown = source.replace("\0", r"\u0000")
    assert (shown if len(shown) < 100 else shown[:60]) in sentence and len(sentence) < 1000
    assert "one file of triplets" in sentence


def test_traversal_is_just_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path / "outside")
    (tmp_path / "data").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("DANS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path / "work")
    assert load("../outside").name == "outside"
    monkeypatch.chdir("/")
    assert "does not exist" in refusal("../outside")


def test_one_file_is_split_reproducibly(tmp_path: Path) -> None:
    text = lines(200)
    first, second = tmp_path / "all.txt", tmp_path / "shuffled.tsv"
    first.write_text("\n".join(text))
    second.write_text("\n".join(random.Random(1).sample(text + text[:7], 207)))
    one, other = load(first), load(second)
    assert one.name == "all"
    assert [len(one.splits[split]) for split in SPLITS] == [160, 20, 20]
    assert one.splits == other.splits
    assert one.notes[0] == SplitHere((160, 20, 20), 0)
    assert "split here into train / valid / test 160 / 20 / 20" in str(one.notes[0])
    assert str(other.notes[1]) == "duplicate triplets dropped from shuffled.tsv: 7"
    assert sorted("\t".join(t) for split in SPLITS for t in one.splits[split]) == text


def test_one_file_split_is_pinned(tmp_path: Path) -> None:
    """A changed split would silently change the results of everyone who gives one file."""
    path = tmp_path / "all.txt"
    path.write_text("\n".join(f"e{i % 5}\tr{i % 2}\te{i % 7}" for i in range(20)))
    assert load(path).splits["test"] == [("e4", "r0", "e4"), ("e2", "r0", "e2")]
    assert load(path).splits["valid"] == [("e2", "r1", "e0"), ("e0", "r0", "e0")]


@given(many_triplets)
def test_split_covers_every_name(triplets: list[tuple[str, str, str]]) -> None:
    splits = split_triplets(triplets)
    whole = [triplet for split in SPLITS for triplet in splits[split]]
    assert sorted(whole) == sorted(set(triplets))
    assert {e for h, _, t in splits["train"] for e in (h, t)} == {e for h, _, t in whole for e in (h, t)}
    assert {r for _, r, _ in splits["train"]} == {r for _, r, _ in whole}
    assert len(splits["valid"]) <= len(splits["test"]) <= round(0.1 * len(whole))
    assert splits == split_triplets(reversed(triplets))


def test_one_file_too_small_or_too_sparse(tmp_path: Path) -> None:
    path = tmp_path / "one.txt"
    path.write_text(LINE * 30)
    assert f"{path} holds 1 distinct triplets, too few to split" in refusal(path)
    path.write_text("")
    assert "holds 0 distinct triplets" in refusal(path)
    path.write_text("\n".join(f"h{i}\tr\tt{i}" for i in range(30)))
    assert f"{path} cannot be split" in refusal(path)
    path.write_text(LINE + "a\tb\n")
    assert refusal(path).startswith(f"{path}, line 2: 2 columns")


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.txt"
    path.write_bytes(data)
    try:
        triplets = read_triplets(path)
    except InputError as error:
        assert str(error).startswith(f"{path}, line ")
    else:
        assert all(datasets.name_problem(name) is None for triplet in triplets for name in triplet)


@pytest.mark.parametrize("module", ["dans_data", "dans_core.kg"])
def test_import_and_load_without_torch(module: str) -> None:
    code = (
        f"import sys, {module} as m; getattr(m, 'KnowledgeGraph', m).load('umls'); "
        "sys.exit('torch' in sys.modules or 'streamlit' in sys.modules)"
    )
    root = BUNDLED.parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
