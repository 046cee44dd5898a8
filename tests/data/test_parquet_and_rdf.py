"""Parquet and RDF give the same graph as text does, or one sentence, also where rdflib is not installed."""

from __future__ import annotations

import gzip
import importlib.util
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dans_data import SPLITS, Dataset, Limits, Triplet, from_uploads, load, rdf
from dans_data.columns import Columns
from dans_data.errors import InputError
from dans_data.faults import BadLinesError

ROWS: list[Triplet] = [
    (f"drug{i % 5}", ("treats", "binds", "causes")[i % 3], f"gene{i % 7}") for i in range(60)
]
FACTS = set(ROWS)
HEADS, RELATIONS, TAILS = (list(column) for column in zip(*ROWS, strict=True))
NUMBERS = list(range(60))


def facts(found: Dataset) -> set[Triplet]:
    return {triplet for split in SPLITS for triplet in found.splits[split]}


def parquet(**columns: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, row_group_size=17)
    return stream.getvalue()


def refusal(name: str, data: bytes, limits: Limits | None = None, columns: Columns | None = None) -> str:
    with pytest.raises(InputError) as caught:
        from_uploads([(name, data)], "kg", limits=limits, columns=columns)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- Parquet

TABLES = {
    "in order": parquet(a=HEADS, b=RELATIONS, c=TAILS),
    "by name": parquet(weight=[0.5] * 60, target=TAILS, type=RELATIONS, source=HEADS),
    "categories": parquet(head=pa.array(HEADS).dictionary_encode(), relation=RELATIONS, tail=TAILS),
    "with an index": parquet(__index__=NUMBERS, x=HEADS, y=RELATIONS, z=TAILS),
    "with weights": parquet(x=HEADS, y=RELATIONS, z=TAILS, w=[i / 7 for i in NUMBERS]),
}


@pytest.mark.parametrize("form", TABLES)
def test_a_table_of_parquet_is_read_as_one_of_text(form: str) -> None:
    assert facts(from_uploads([("kg.parquet", TABLES[form])], "kg")) == FACTS
    assert facts(from_uploads([("kg.parquet.gz", gzip.compress(TABLES[form]))], "kg")) == FACTS


def test_what_is_left_out_is_noted_and_splits_stay(tmp_path: Path) -> None:
    (note,) = (
        str(n) for n in from_uploads([("kg.parquet", TABLES["by name"])], "kg").notes if "left" in str(n)
    )
    assert note == 'kg.parquet: columns left out: "weight"'
    for at, split in enumerate(SPLITS):
        part = slice(20 * at, 20 * at + 20)
        table = parquet(head=HEADS[part], relation=RELATIONS[part], tail=TAILS[part])
        (tmp_path / f"{split}.parquet").write_bytes(table)
    assert load(tmp_path).splits == {split: ROWS[20 * at :][:20] for at, split in enumerate(SPLITS)}


def test_ids_are_names_and_what_is_missing_is_a_bad_line() -> None:
    heads = [float(i % 5) for i in NUMBERS]
    found = facts(from_uploads([("kg.parquet", parquet(head=heads, relation=RELATIONS, tail=TAILS))], "kg"))
    assert {head for head, _, _ in found} == {"0", "1", "2", "3", "4"}
    data = parquet(head=[None, *heads[1:]], relation=RELATIONS, tail=[*TAILS[:-1], None])
    with pytest.raises(BadLinesError, match=r"kg.parquet, line 1: the head is neither a text nor") as caught:
        from_uploads([("kg.parquet", data)], "kg")
    assert [fault.line for fault in caught.value.faults] == [1, 60]
    assert len(facts(from_uploads([("kg.parquet", data)], "kg", columns=Columns(leave_out=True)))) <= 58


def test_columns_that_cannot_be_told_can_be_said() -> None:
    texts = [f"text {i}" for i in NUMBERS]
    data = parquet(a=texts, b=TAILS, c=HEADS, d=RELATIONS, e=texts)
    assert "whose names are not known" in refusal("kg.parquet", data)
    assert facts(from_uploads([("kg.parquet", data)], "kg", columns=Columns.parse("3,4,2"))) == FACTS
    assert "column 7 was asked for" in refusal("kg.parquet", data, columns=Columns.parse("1,2,7"))
    assert "2 columns" in refusal("kg.parquet", parquet(a=HEADS, b=TAILS))


def test_what_is_no_parquet_or_too_large_gets_one_sentence() -> None:
    whole = TABLES["in order"]
    for broken in (b"", b"PAR1", whole[:-9], whole[:40] + bytes(40) + whole[80:], b"a\tr\tb\n"):
        assert refusal("kg.parquet", broken).startswith("kg.parquet")
    assert "more than 100 bytes" in refusal("kg.parquet", whole, Limits(unpacked_bytes=100))
    assert "there are more than 59 triplets" in refusal("kg.parquet", whole, Limits(triplets=59))


# --- RDF

TURTLE = "@prefix : <http://kg/> .\n" + "".join(f":{h} :{r} :{t} .\n" for h, r, t in ROWS)
XML = (
    '<?xml version="1.0"?>\n<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:k="http://kg/">'
    + "".join(
        f'<rdf:Description rdf:about="http://kg/{h}"><k:{r} rdf:resource="http://kg/{t}"/></rdf:Description>\n'
        for h, r, t in ROWS
    )
    + "</rdf:RDF>"
)
RDF = {
    "kg.ttl": TURTLE,
    "kg.n3": TURTLE,
    "kg.trig": TURTLE.replace(" .\n:", " .\n:g {\n:", 1) + "}\n",
    "kg.rdf": XML,
    "kg.owl": XML,
}
IRIS = {tuple(f"http://kg/{name}" for name in row) for row in ROWS}

with_rdflib = pytest.mark.skipif(importlib.util.find_spec("rdflib") is None, reason="rdflib is not installed")


@with_rdflib
@pytest.mark.parametrize("name", RDF)
def test_rdf_gives_the_graph_that_n_triples_do(name: str) -> None:
    assert facts(from_uploads([(name, RDF[name].encode())], "kg")) == IRIS
    assert facts(from_uploads([(f"{name}.gz", gzip.compress(RDF[name].encode()))], "kg")) == IRIS


@with_rdflib
def test_literals_are_left_out_and_blank_nodes_are_the_same_every_time() -> None:
    text = (
        TURTLE
        + ':drug0 :name "Aspirin"@en ; :mass 180 .\n:drug0 :part [ :of :drug1 ] .\n<rel> :binds _:x .\n'
    )
    found = [from_uploads([("kg.ttl", text.encode())], "kg") for _ in range(2)]
    assert found[0] == found[1]
    assert facts(found[0]) - IRIS == {
        ("_:b0", "http://kg/of", "http://kg/drug1"),
        ("http://kg/drug0", "http://kg/part", "_:b0"),
        ("rel", "http://kg/binds", "_:b1"),
    }
    notes = list(map(str, found[0].notes))
    assert "kg.ttl: triplets left out, since their tail is a literal and no entity: 2" in notes


@with_rdflib
@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("kg.ttl", "@prefix : <http://kg/> .\n:a :b :c .\nx:a :b :c .\n", "kg.ttl, line 3: not Turtle"),
        ("kg.ttl", TURTLE + ":a :b", "not Turtle (it ends in the middle of a triplet)"),
        ("kg.rdf", XML[:-20], "not RDF/XML"),
        ("kg.rdf", "a\tr\tb\n", "kg.rdf, line 1: not RDF/XML"),
        ("kg.ttl", TURTLE + "<http://a\\u0007> :b :c .\n", "contains the character U+0007"),
        (
            "kg.rdf",
            '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
            + XML.partition("?>")[2].replace("drug0", "&x;", 1),
            "kg.rdf",
        ),
    ],
)
def test_what_is_no_rdf_gets_one_sentence(name: str, text: str, words: str) -> None:
    assert words in refusal(name, text.encode())


@with_rdflib
def test_what_is_too_large_to_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rdf, "_MOST", 1000)
    assert "convert it to N-Triples" in refusal("kg.ttl", TURTLE.encode())


def test_without_rdflib_one_sentence_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "rdflib" else find(name))
    assert refusal("kg.ttl", TURTLE.encode()) == (
        "kg.ttl: Turtle needs rdflib, which is not installed; install it by: pip install rdflib, or convert the file "
        "to N-Triples (.nt)"
    )


def test_text_is_read_without_either() -> None:
    code = (
        "import sys, dans_data; dans_data.load('nations'); "
        "print({'pyarrow', 'rdflib', 'torch', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
