"""The forms in which a person's triplets may come: the same graph from all of them, within limits that can be set."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dans_data as datasets
from dans_core.config import Config
from dans_core.kg import KnowledgeGraph
from dans_data import BUNDLED, SPLITS, Dataset, Limits, Triplet, from_uploads, load
from dans_data.errors import InputError
from dans_lab.cli import main
from dans_lab.runs.run import Run
from dans_lab.runs.writer import RunWriter

ROWS: list[Triplet] = [(f"e {i % 5}", f"r{i % 3}", f'é"{i % 17}') for i in range(90)]


@pytest.fixture(autouse=True)
def _limits_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DANS_LIMITS", raising=False)


def as_tsv(rows: list[Triplet]) -> bytes:
    return "".join("\t".join(row) + "\n" for row in rows).encode()


def as_csv(rows: list[Triplet], delimiter: str = ",", quoting: int = csv.QUOTE_MINIMAL) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=quoting).writerows(rows)
    return text.getvalue().encode()


def as_csv_with_header(rows: list[Triplet]) -> bytes:
    body = as_csv([(tail, head, relation) for head, relation, tail in rows], ";")
    return "\ufeffTarget; Source;TYPE\r\n".encode() + body


def as_nt(rows: list[Triplet]) -> bytes:
    def term(name: str) -> str:
        return "<" + "".join(c if c.isalnum() and c.isascii() else f"\\u{ord(c):04X}" for c in name) + ">"

    return "".join(f"{term(h)}\t{term(r)} {term(t)}.# x\r\n" for h, r, t in rows).encode()


def zipped(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


FORMS: dict[str, Callable[[list[Triplet]], bytes]] = {
    "kg.txt": as_tsv,
    "kg.TSV": as_tsv,
    "kg": as_tsv,
    "kg.csv": as_csv,
    "kg-quoted.csv": lambda rows: as_csv(rows, ";", csv.QUOTE_ALL),
    "kg-header.csv": as_csv_with_header,
    "kg.nt": as_nt,
    **{
        f"kg{ending}.gz": lambda rows, form=form: gzip.compress(form(rows))
        for ending, form in {".tsv": as_tsv, ".csv": as_csv, ".nt": as_nt}.items()
    },
    "kg.zip": lambda rows: zipped(**{"any/where/kg.csv": as_csv(rows), "README.txt": b"hello"}),
}


@pytest.mark.parametrize("name", FORMS)
def test_the_same_graph_from_every_form(tmp_path: Path, name: str) -> None:
    (tmp_path / "plain.tsv").write_bytes(as_tsv(ROWS))
    data = FORMS[name](ROWS)
    (tmp_path / name).write_bytes(data)
    expected = load(tmp_path / "plain.tsv")
    for found in (load(tmp_path / name), from_uploads([(f"C:\\up\\{name}", data)], name.split(".")[0])):
        assert found.splits == expected.splits
        assert found.name == name.split(".")[0]
        assert found.split_seed == 0
    assert sorted(t for split in SPLITS for t in expected.splits[split]) == sorted(set(ROWS))


MIXED = {
    "train.csv.gz": gzip.compress(as_csv(ROWS[:60])),
    "Dev.nt": as_nt(ROWS[60:75]),
    "test.txt": as_tsv(ROWS[75:]),
}


def test_splits_in_different_forms(tmp_path: Path) -> None:
    for name, data in MIXED.items():
        (tmp_path / name).write_bytes(data)
    archive = zipped(**{f"kg/{name.removesuffix('.gz')}": MIXED[name] for name in ("Dev.nt", "test.txt")})
    (tmp_path / "entities.txt").write_text("not looked at")
    found = [load(tmp_path), from_uploads(list(MIXED.items()), "kg")]
    stream = io.BytesIO(archive)
    with zipfile.ZipFile(stream, "a") as more:
        more.writestr("kg/train.tsv", as_tsv(ROWS[:60]))
        more.writestr("kg/entities.txt", "not looked at")
    found.append(from_uploads([("kg.zip", stream.getvalue())], "kg"))
    for dataset in found:
        assert dataset.splits == {"train": ROWS[:60], "valid": ROWS[60:75], "test": ROWS[75:]}
        assert dataset.split_seed is None
    assert found[0].notes == ()
    assert tuple(map(str, found[2].notes)) == ("left out of kg.zip: kg/entities.txt",)


def refusal(*files: tuple[str, bytes], limits: Limits | None = None) -> str:
    with pytest.raises(InputError) as caught:
        from_uploads(files, "kg", limits=limits)
    return str(caught.value)


def test_which_uploads_make_a_data_set() -> None:
    data = as_tsv(ROWS)
    assert "nothing was uploaded" in refusal()
    assert "the upload of a.tsv, b.tsv is 2 files; expected one file" in refusal(
        ("a.tsv", data), ("b.tsv", data)
    )
    assert "the upload of valid.tsv, test.tsv has no train.txt" in refusal(
        ("valid.tsv", data), ("test.tsv", data)
    )
    assert "has both dev.csv and valid.tsv" in refusal(
        ("train.tsv", data), ("valid.tsv", data), ("x/dev.csv", data)
    )
    four = [(f"{split}.tsv", data) for split in ("train", "valid", "test", "dev")]
    assert "has both dev.tsv and valid.tsv" in refusal(*four)
    assert "is 2 files" in refusal(("a.zip", zipped(**{"a.tsv": data})), ("train.tsv", data))
    assert "valid.tsv, line 1: 1 column" in refusal(*four[:1], ("valid.tsv", b"x"), four[2])
    assert "test.tsv holds no triplets" in refusal(*four[:2], ("test.tsv", b"\n"))


def test_uploads_touch_no_disk() -> None:
    """Every file that Python opens or makes is seen by an audit hook."""
    code = """
import sys, gzip
from tests.data.test_formats import FORMS, MIXED, ROWS
from dans_data import from_uploads
from dans_core.kg import KnowledgeGraph
made = [(name, form(ROWS)) for name, form in FORMS.items()]
def read():
    for one in made:
        KnowledgeGraph.from_names(from_uploads([one], "kg").splits, "kg").hash
    from_uploads(list(MIXED.items()), "kg")
read()  # what is imported late is read from disk
seen = []
sys.addaudithook(lambda event, args: seen.append((event, args)) if event.split(".")[0] in
                 ("open", "os", "shutil", "tempfile", "socket", "subprocess") else None)
read()
print(seen)
open("/dev/null").close()
assert seen
"""
    root = BUNDLED.parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


# --- CSV -------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(*[st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1)] * 3), min_size=3)
)
def test_any_names_in_quotes(rows: list[Triplet]) -> None:
    rows = [(head, relation.replace("⁻¹", "!"), tail) for head, relation, tail in rows]
    header = [("head", "relation", "tail")]
    files = [(f"{split}.csv", as_csv(header + rows, ";", csv.QUOTE_ALL)) for split in SPLITS]
    assert from_uploads(files, "kg").splits["test"] == rows


@pytest.mark.parametrize(
    ("header", "note"),
    [
        ("head,relation,tail", ()),
        ('"Subject","Predicate","Object"', ()),
        ("source , target, label", ()),
        ("id,from,to,type,weight", ('kg.csv: columns left out: "id", "weight"',)),
        (",head,relation,tail,type", ('kg.csv: columns left out: "", "type"',)),
        ("H,T,R", ()),
        ("s,p,o", ()),
    ],
)
def test_headers(header: str, note: tuple[str, ...]) -> None:
    names = [word.strip('" ').lower() for word in header.split(",")]
    places = [
        next(names.index(word) for word in words if word in names)
        for words in (
            ("head", "subject", "source", "from", "h", "s"),
            ("relation", "predicate", "label", "type", "r", "p"),
            ("tail", "object", "target", "to", "t", "o"),
        )
    ]
    lines = [header]
    for triplet in ROWS:
        row = ["0.5"] * len(names)
        for place, name in zip(places, triplet, strict=True):
            row[place] = '"' + name.replace('"', '""') + '"'
        lines.append(",".join(row))
    found = from_uploads([("kg.csv", "\n".join(lines).encode())], "kg")
    assert sorted(t for split in SPLITS for t in found.splits[split]) == sorted(set(ROWS))
    assert tuple(map(str, found.notes[1:])) == note


def test_letters_that_are_not_a_header_are_names() -> None:
    rows = [(head, "r", tail) for head in "xspo" for tail in "tho"]
    found = from_uploads([("kg.csv", "\n".join(map(",".join, rows)).encode())], "kg")
    assert {t for split in SPLITS for t in found.splits[split]} == set(rows)


@pytest.mark.parametrize(
    ("bad", "line", "words"),
    [
        ("a,b", 4, "2 columns, expected 3: head, relation, tail separated by commas"),
        ('"a\n\nb",r,c', 4, "U+000A"),
        ('x,"y', 4, "not CSV"),
        ('\n\nx,"y"z,a', 6, "not CSV"),
        (",r,b", 4, "the name of the head is empty"),
    ],
)
def test_the_line_where_a_record_begins_is_named(bad: str, line: int, words: str) -> None:
    sentence = refusal(("kg.csv", f'a,r,b\n"c",r,d\ne,r,f\n{bad}\n'.encode()))
    assert sentence.startswith(f"kg.csv, line {line}: ") and words in sentence


def test_commas_or_semicolons() -> None:
    semicolons = [(f"Paris, {i}", "in, or near", f"France {i}") for i in range(30)]
    text = "".join(";".join(row) + "\n" for row in semicolons)
    assert "both make three columns" in refusal(("kg.csv", text.encode()))
    quoted = text.replace("Paris,", '"Paris,').replace(";in, or near;", '";in, or near;')
    files = [(f"{split}.csv", quoted.encode()) for split in SPLITS]
    assert from_uploads(files, "kg").splits["train"] == semicolons


# --- N-Triples -------------------------------------------------------------------------------------------------


def test_terms_of_n_triples() -> None:
    text = r"""
# a comment
<http://a/s> <http://a/p> <http://a/o> .
_:b.1 <http://a/p> _:b-2 . # another
<http://a/\u00e9><http://a/p><http://a/\U0001F600>.
<http://a/s> <http://a/p> "a text\n\"quoted\" \u00e9" .
<http://a/s> <http://a/p> "a text"@en-GB .
<http://a/s> <http://a/p> "1"^^<http://www.w3.org/2001/XMLSchema#int> .
<http://a/s> <http://a/p> "<http://a/o> ." .
"""
    found = from_uploads([(f"{split}.nt", text.encode()) for split in SPLITS], "kg")
    assert found.splits["valid"] == [
        ("http://a/s", "http://a/p", "http://a/o"),
        ("_:b.1", "http://a/p", "_:b-2"),
        ("http://a/é", "http://a/p", "http://a/😀"),
    ]
    assert tuple(map(str, found.notes[:2])) == (
        "train.nt: triplets left out, since their tail is a literal and no entity: 4",
        "train.nt: blank nodes are entities, named by their labels",
    )


def test_a_long_line_of_n_triples_is_refused_at_once() -> None:
    """No term can be read in two ways, so a line that is nearly right is refused in one pass."""
    for line in (
        "<" + "a" * 10**6,
        '<a> <b> "' + "\\n" * 10**6,
        "_:" + "a." * 10**6,
        "<a> <b> <c> ." + " " * 10**6 + "x",
    ):
        assert "kg.nt, line 1: " in refusal(("kg.nt", line.encode()))


# --- limits ----------------------------------------------------------------------------------------------------


BLANKS = b"\n" * 2_000_000 + as_tsv(ROWS)


@pytest.mark.parametrize(
    ("limit", "least", "name", "data"),
    [
        ("triplets", 90, "kg.tsv", as_tsv(ROWS)),
        ("entities", 22, "kg.csv", as_csv(ROWS)),
        ("relations", 3, "kg.nt", as_nt(ROWS)),
        ("name_length", 4, "kg.tsv", as_tsv(ROWS)),
        ("unpacked_bytes", len(as_tsv(ROWS)), "kg.tsv.gz", gzip.compress(as_tsv(ROWS))),
        ("packed_bytes", len(gzip.compress(as_tsv(ROWS))), "kg.tsv.gz", gzip.compress(as_tsv(ROWS))),
        (
            "packed_bytes",
            len(zipped(**{"kg.tsv": as_tsv(ROWS)})),
            "kg.zip",
            zipped(**{"kg.tsv": as_tsv(ROWS)}),
        ),
        ("members", 2, "kg.zip", zipped(**{"kg.tsv": as_tsv(ROWS), "kg.md": b""})),
        ("expansion", -(-len(BLANKS) // len(gzip.compress(BLANKS))), "kg.tsv.gz", gzip.compress(BLANKS)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_limit_lets_as_many_in_and_no_more(limit: str, least: int, name: str, data: bytes) -> None:
    allowed, less = (dataclasses.replace(Limits(expansion=10**6), **{limit: n}) for n in (least, least - 1))
    assert from_uploads([(name, data)], "kg", limits=allowed).splits["train"]
    sentence = refusal((name, data), limits=less)
    assert sentence.startswith(name) and f'or raise the limit by DANS_LIMITS="{limit}=' in sentence


def test_limits_hold_for_all_files_together() -> None:
    files = [(f"{split}.tsv", as_tsv(ROWS)) for split in SPLITS]
    for limits in (Limits(triplets=269), Limits(unpacked_bytes=3 * len(as_tsv(ROWS)) - 1)):
        assert refusal(*files, limits=limits).startswith("test.tsv")
    assert from_uploads(files, "kg", limits=Limits(triplets=270, entities=22))


def test_limits_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kg.tsv").write_bytes(as_tsv(ROWS))
    monkeypatch.setenv("DANS_LIMITS", " triplets=89   entities=100 ")
    assert Limits.from_environment() == Limits(triplets=89, entities=100)
    with pytest.raises(InputError, match=r"kg.tsv, line 90: there are more than 89 triplets"):
        KnowledgeGraph.load(tmp_path / "kg.tsv")
    monkeypatch.setenv("DANS_LIMITS", "triplets=90")
    assert KnowledgeGraph.load(tmp_path / "kg.tsv").num_relations == 3


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("triplet=5", 'names the limit "triplet"; expected packed_bytes, .*; did you mean "triplets"?'),
        ("triplets", "expected a whole number from 1, such as triplets=1000"),
        ("triplets=0", "expected a whole number from 1"),
        ("triplets=-5", "expected a whole number from 1"),
        ("triplets=1e6", "expected a whole number from 1"),
        ("triplets=" + "9" * 5000, "expected a whole number from 1"),
        ("triplets=5 triplets=6", "holds triplets twice"),
        ("triplets=５", "expected a whole number from 1"),
        ("nonsense\n=1", "names the limit"),
    ],
)
def test_nonsense_in_the_environment(monkeypatch: pytest.MonkeyPatch, value: str, words: str) -> None:
    monkeypatch.setenv("DANS_LIMITS", value)
    with pytest.raises(InputError, match=f"^DANS_LIMITS .*{words}") as caught:
        load("umls")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "9", None])
def test_a_limit_is_a_whole_number(value: object) -> None:
    with pytest.raises(InputError, match="the limit members is"):
        Limits(members=value)  # type: ignore[arg-type]


# --- the seed of the split -------------------------------------------------------------------------------------


def names_of(rows: list[Triplet]) -> tuple[set[str], set[str]]:
    return {name for head, _, tail in rows for name in (head, tail)}, {relation for _, relation, _ in rows}


def test_each_seed_splits_in_its_own_way(tmp_path: Path) -> None:
    path = tmp_path / "kg.tsv"
    path.write_bytes(as_tsv(ROWS))
    found: list[Dataset] = [load(path, seed) for seed in range(5)]
    for seed, dataset in enumerate(found):
        assert dataset == load(path, split_seed=seed)
        assert dataset.split_seed == seed
        assert f"by split seed {seed}" in str(dataset.notes[0])
        whole = [t for split in SPLITS for t in dataset.splits[split]]
        assert sorted(whole) == sorted(set(ROWS))
        assert names_of(dataset.splits["train"]) == names_of(whole)
        assert KnowledgeGraph.load(path, seed).split_seed == seed
    assert len({frozenset(dataset.splits["test"]) for dataset in found}) == 5
    assert KnowledgeGraph.load("umls", 3).split_seed is None
    assert load("umls", 3) == load("umls")


@pytest.mark.parametrize("seed", [-1, True, 1.0, "1", None])
def test_bad_seeds(seed: object) -> None:
    with pytest.raises(InputError, match="the split seed is"):
        load("umls", seed)  # type: ignore[arg-type]


def test_a_run_keeps_its_split_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    path = tmp_path / "kg.tsv"
    path.write_bytes(as_tsv(ROWS))
    kg = KnowledgeGraph.load(path, 7)
    with RunWriter.create(tmp_path, "a-run", Config(), kg.name, kg.hash, path, split_seed=7):
        pass
    run = Run(tmp_path / "a-run")
    assert run.meta.split_seed == 7
    assert run.load_kg().hash == kg.hash != KnowledgeGraph.load(path).hash
    assert main(["train", "--resume", "--out", "a-run", "--split-seed", "6"]) == 2
    assert "run a-run has split seed 7, not 6; leave it out" in capsys.readouterr().err
    stored = json.loads((run.path / "config.json").read_text())
    del stored["split_seed"]
    (run.path / "config.json").write_text(json.dumps(stored))
    assert Run(run.path).meta.split_seed == 0


def test_the_command_takes_a_split_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    path = tmp_path / "kg.tsv"
    path.write_bytes(as_tsv(ROWS))
    small = ["--set", "dim=8", "--set", "batch_size=64", "--epochs", "4", "--sampler", "uniform"]
    arguments = ["train", "--dataset", str(path), "--out", "a-run", *small]
    assert main([*arguments, "--split-seed", "5"]) == 0
    run = Run(tmp_path / "runs" / "a-run")
    assert run.meta.split_seed == 5 and run.load_kg().split_seed == 5
    capsys.readouterr()
    for more, words in {
        ("train", "--dataset", "nations", "--split-seed", "5"): "nations is split already; leave it out",
        ("train", "--dataset", str(path), "--split-seed", "-5"): "the split seed is -5",
    }.items():
        assert main(list(more)) == 2
        assert words in capsys.readouterr().err


def test_names_are_shown_on_one_line() -> None:
    assert datasets.printable("a\nb\u202e\udcff") == r"a\u000ab\u202e\udcff"
    assert datasets.printable("a" * 50, 10) == "a" * 10 + "…"
