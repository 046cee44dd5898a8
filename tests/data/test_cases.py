"""Files as people have them: each is the same small graph in another form, or is refused with advice that helps."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable

import pytest

from dans_data import SPLITS, Dataset, Triplet, from_uploads, load, own
from dans_data.columns import Columns
from dans_data.errors import InputError
from dans_data.faults import MOST_KEPT, BadLinesError
from dans_data.notes import Doubt
from dans_data.text import EncodingError
from dans_lab.cli import main

ROWS: list[Triplet] = [
    (f"drug{i % 5}", ("treats", "binds", "causes")[i % 3], f"gene{i % 7}") for i in range(60)
] + [(f"gene{i % 7}", "binds", f"drug{i % 5}") for i in range(20)]
FACTS = set(ROWS)


def table(
    separator: str = "\t",
    header: str = "",
    shape: Callable[[int, Triplet], tuple[str, ...]] = lambda i, row: row,
    end: str = "\n",
) -> bytes:
    begun = [header] if header else []
    return end.join([*begun, *(separator.join(shape(i, row)) for i, row in enumerate(ROWS)), ""]).encode()


def facts(found: Dataset) -> set[Triplet]:
    return {triplet for split in SPLITS for triplet in found.splits[split]}


def more(*columns: str) -> Callable[[int, Triplet], tuple[str, ...]]:
    return lambda i, row: (*row, *(column.format(i=i) for column in columns))


FORMS: dict[str, bytes] = {
    "hetionet.tsv": table(header="source\tmetaedge\ttarget"),
    "kgtk.tsv": table(header="node1\tlabel\tnode2"),
    "neo4j.csv": table(",", ":START_ID,:TYPE,:END_ID"),
    "neo4j-typed.csv": table(",", ":START_ID(Drug),:TYPE,:END_ID(Gene)"),
    "cypher.csv": table(",", "n.name,type(r),m.name"),
    "kgx.tsv": table("\t", "subject\tpredicate\tobject\tknowledge_source", more("a{i}")),
    "commented-header.tsv": table(header="#head\trelation\ttail"),
    "primekg.csv": table(
        ",",
        "relation,display_relation,x_index,x_name,y_index,y_name",
        lambda i, row: (row[1], row[1], str(i), row[0], str(i), row[2]),
    ),
    "pandas.tsv": table(header="\thead\trelation\ttail", shape=lambda i, row: (str(i), *row)),
    "pandas.csv": table(",", ",head,relation,tail", lambda i, row: (str(i), *row)),
    "index.tsv": table(shape=lambda i, row: (str(i), *row)),
    "header.txt": table(header="head\trelation\ttail"),
    "trailing.tsv": table(shape=more("")),
    "comments.tsv": b"# exported 2024\n# head relation tail\n\n" + table() + b"# end\n",
    "comments.csv": b"# a, b, c\n" + table(","),
    "weights.tsv": table(shape=more("0.{i}")),
    "weights.csv": table(",", shape=more("{i}e-2")),
    "dates.txt": table(shape=more("2014-05-01")),
    "quads.tsv": table(shape=more("HIGH", "SRC")),
    "tabs.csv": table(),
    "excel.csv": "\ufeff".encode() + table(";", "head;relation;tail;;", more("", ""), "\r\n") + b";;;;\r\n",
    "declared.csv": b"sep=|\r\n" + table("|", end="\r\n"),
    "commas.txt": table(","),
    "semicolons.tsv": table(";", "head;relation;tail"),
    "pipes.txt": table("|"),
    "spaces.txt": table(" "),
    "two-spaces.txt": table("  "),
    "all-quoted.tsv": table(shape=lambda i, row: tuple(f'"{name}"' for name in row)),
    "lines.jsonl": "\n".join(
        f'{{"head": "{h}", "relation": "{r}", "tail": "{t}"}}' for h, r, t in ROWS
    ).encode(),
    "arrays.ndjson": "\n".join(f'["{h}", "{r}", "{t}"]' for h, r, t in ROWS).encode(),
}


@pytest.mark.parametrize("name", FORMS)
def test_the_same_graph_from_each(name: str) -> None:
    found = from_uploads([(name, FORMS[name])], "kg")
    assert facts(found) == FACTS
    assert not [note for note in found.notes if isinstance(note, Doubt)]


NOTED = {
    "weights.tsv": 'weights.tsv: column left out: 4 ("0.0" in line 1)',
    "quads.tsv": 'quads.tsv: columns left out: 4, 5 ("HIGH", "SRC" in line 1)',
    "kgx.tsv": 'kgx.tsv: columns left out: "knowledge_source"',
    "comments.tsv": "comments.tsv: 3 lines of comment passed over",
    "spaces.txt": "spaces.txt: columns separated by spaces",
    "tabs.csv": "tabs.csv: columns separated by tabs",
}


@pytest.mark.parametrize("name", NOTED)
def test_what_is_left_out_or_unlike_the_name_is_noted(name: str) -> None:
    assert NOTED[name] in map(str, from_uploads([(name, FORMS[name])], "kg").notes)


@pytest.mark.parametrize("separator", ["\t", ","])
def test_quotes_are_read_where_they_are_needed(separator: str) -> None:
    rows = "".join(f'a{i % 5}{separator}r{separator}"b{separator}""{i % 4}"""\n' for i in range(20))
    plain = (
        "".join(f'a{i % 5}{separator}r{separator}5" pipe\n' for i in range(20)) if separator == "\t" else ""
    )
    found = facts(
        from_uploads([("kg.tsv" if separator == "\t" else "kg.csv", (rows + plain).encode())], "kg")
    )
    inside = " " if separator == "\t" else ","
    assert ("a3", "r", f'b{inside}"3"') in found
    assert not plain or ("a3", "r", '5" pipe') in found


# --- doubts, and what a person says


def test_an_unknown_header_is_asked_about() -> None:
    data = table(header="Wirkstoff\tBeziehung\tZiel")
    found = from_uploads([("kg.tsv", data)], "kg")
    assert facts(found) == FACTS | {("Wirkstoff", "Beziehung", "Ziel")}
    (doubt,) = (note for note in found.notes if isinstance(note, Doubt))
    assert doubt.about == "header" and '"Wirkstoff", "Beziehung" and "Ziel" occur nowhere else' in str(doubt)
    for header, wanted in ((True, FACTS), (False, facts(found))):
        said = from_uploads([("kg.tsv", data)], "kg", columns=Columns(header=header))
        assert facts(said) == wanted and not [note for note in said.notes if isinstance(note, Doubt)]


def test_a_header_in_unknown_words_shows_by_what_stands_below_it() -> None:
    data = table(",", "Wirkstoff,Art,Ziel,Jahr,Quelle", more("20{i:02}", "Buch"))
    found = from_uploads([("kg.csv", data)], "kg")
    assert facts(found) == FACTS
    assert 'kg.csv: columns left out: "Jahr", "Quelle"' in map(str, found.notes)
    turned = table(",", "Wirkstoff,Ziel,Art,Jahr", lambda i, row: (row[0], row[2], row[1], f"20{i:02}"))
    (doubt,) = (n for n in from_uploads([("kg.csv", turned)], "kg").notes if isinstance(n, Doubt))
    assert doubt.about == "order"


def test_a_comma_in_a_name_is_no_empty_column_at_the_end() -> None:
    data = table(",", "head,relation,tail,remark", more("")) + b"drug0,treats,pain, strong,\n"
    with pytest.raises(BadLinesError, match=r"line 82: 5 columns, expected 4"):
        from_uploads([("kg.csv", data)], "kg")


def test_another_order_is_asked_about() -> None:
    data = table(shape=lambda i, row: (row[0], row[2], row[1]))
    (doubt,) = (n for n in from_uploads([("kg.tsv", data)], "kg").notes if isinstance(n, Doubt))
    assert doubt.about == "order" and "head, tail, relation" in str(doubt)
    said = from_uploads([("kg.tsv", data)], "kg", columns=Columns.parse("1,3,2"))
    assert facts(said) == FACTS and not [note for note in said.notes if isinstance(note, Doubt)]


def test_columns_that_cannot_be_told_can_be_said() -> None:
    data = table(
        shape=lambda i, row: (f"about {' '.join(row)}", row[1], row[0], row[2], f'{{"weight": {i}}}')
    )
    with pytest.raises(InputError, match=r"kg.csv, line 1: 5 columns separated by tabs .*--columns 1,2,3"):
        from_uploads([("kg.csv", data)], "kg")
    assert facts(from_uploads([("kg.csv", data)], "kg", columns=Columns.parse("3, 2, 4"))) == FACTS
    with pytest.raises(InputError, match=r"kg.csv, line 1: 5 columns .* column 6 was asked for"):
        from_uploads([("kg.csv", data)], "kg", columns=Columns.parse("1,2,6"))


@pytest.mark.parametrize(
    "text", ["", "1,2", "1,2,2", "0,1,2", "1,2,3,4", "a,b,c", "1;2;3", "9" * 50 + ",1,2"]
)
def test_columns_are_three_numbers(text: str) -> None:
    with pytest.raises(InputError, match="expected the numbers of those of head, relation and tail"):
        Columns.parse(text)


def test_another_encoding_gets_advice_that_helps() -> None:
    data = table(",").replace(b"drug1", "Müller".encode("cp1252"))
    with pytest.raises(
        EncodingError, match="save it as UTF-8, which Excel calls “CSV UTF-8”, or say how"
    ) as caught:
        from_uploads([("kg.csv", data)], "kg")
    assert "--encoding windows-1252" in str(caught.value)
    found = from_uploads([("kg.csv", data)], "kg", columns=Columns(encoding="windows-1252"))
    assert {head for head, _, _ in facts(found)} >= {"Müller"} and "kg.csv: text read as windows-1252" in map(
        str, found.notes
    )
    with pytest.raises(EncodingError, match=r"kg.csv is not shift_jis"):
        from_uploads([("kg.csv", data + b"\x80,\xa0,\xff\n")], "kg", columns=Columns(encoding="shift_jis"))
    for wrong in ("latin-nothing", "base64", ""):
        with pytest.raises(InputError, match="there is no encoding"):
            Columns.parse(None, encoding=wrong)


def test_unicode_text_of_excel_is_read() -> None:
    data = table(header="head\trelation\ttail", end="\r\n").decode().encode("utf-16")
    assert facts(from_uploads([("kg.txt", data)], "kg")) == FACTS


def test_the_rows_of_conceptnet_are_known() -> None:
    rows = [(f"/c/en/{h}", f"/r/{r}", f"/c/en/{t}") for h, r, t in ROWS]
    lines = (f'/a/[{r}/,{h}/,{t}/]\t{r}\t{h}\t{t}\t{{"weight": {i}}}\n' for i, (h, r, t) in enumerate(rows))
    assert facts(from_uploads([("kg.csv", "".join(lines).encode())], "kg")) == set(rows)


# --- lines that are no triplets

BAD = {5: "a,b", 9: '"open,binds,gene1', 14: ",binds,gene1", 20: "a,b,c,d", 33: 'x,"y"z,w', 34: ""}
"""The numbers of lines at which these are put between others of a CSV file; the last is nothing at all."""


def with_bad_lines(bad: dict[int, str]) -> bytes:
    found = table(",").decode().splitlines()
    for number, line in sorted(bad.items()):
        found.insert(number - 1, line)
    return "\n".join(found).encode()


def test_all_bad_lines_are_told_at_once_and_left_out_where_a_person_says_so() -> None:
    data = with_bad_lines(BAD)
    with pytest.raises(BadLinesError) as caught:
        from_uploads([("kg.csv", data)], "kg")
    error = caught.value
    assert [fault.line for fault in error.faults] == [5, 9, 14, 20, 33]
    assert (error.count, error.read, error.few) == (5, len(ROWS), True)
    assert str(error).startswith("kg.csv, line 5: 2 columns, expected 3")
    assert str(error).endswith("(4 more lines are no triplets: 9, 14, 20 and 33)")
    for fault, words in zip(
        error.faults, ["2 columns", "quote", "head is empty", "4 columns", "quote"], strict=True
    ):
        assert words in fault.problem
    found = from_uploads([("kg.csv", data)], "kg", columns=Columns(leave_out=True))
    assert facts(found) == FACTS
    assert "kg.csv: 5 lines left out, which are no triplets: 5, 9, 14, 20 and 33" in map(str, found.notes)


def test_a_quote_that_swallows_whole_lines_costs_its_own_line_alone() -> None:
    data = with_bad_lines({3: '"a,binds,gene1', 6: 'b",binds,gene2'})
    with pytest.raises(BadLinesError) as caught:
        from_uploads([("kg.csv", data)], "kg")
    assert [fault.line for fault in caught.value.faults] == [3]
    found = from_uploads([("kg.csv", data)], "kg", columns=Columns(leave_out=True))
    assert facts(found) == FACTS | {('b"', "binds", "gene2")}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("kg.tsv", table().decode(), "only one\n"),
        ("kg.nt", "".join(f"<{h}> <{r}> <{t}> .\n" for h, r, t in ROWS), "<a> <b> .\n"),
        ("kg.jsonl", "".join(f"{json.dumps(row)}\n" for row in ROWS), '{"head": 1}\n'),
    ],
)
def test_of_every_form_and_over_several_files(name: str, good: str, bad: str) -> None:
    ending = name.removeprefix("kg")
    files = [(f"{split}{ending}", (bad + good + bad).encode()) for split in SPLITS]
    with pytest.raises(BadLinesError) as caught:
        from_uploads(files, "kg")
    last = len(ROWS) + 2
    places = [(fault.where, fault.line) for fault in caught.value.faults]
    assert places == [(f"{split}{ending}", line) for split in SPLITS for line in (1, last)]
    found = from_uploads(files, "kg", columns=Columns(leave_out=True))
    assert found.splits == {split: ROWS for split in SPLITS}
    assert f"6 lines left out, which are no triplets: train{ending} 1, train{ending} {last}" in str(
        found.notes
    )


def test_where_most_lines_are_none_nothing_is_left_out() -> None:
    data = table() + b"no triplet\n" * len(ROWS)
    with pytest.raises(BadLinesError) as caught:
        from_uploads([("kg.tsv", data)], "kg", columns=Columns(leave_out=True))
    assert not caught.value.few and caught.value.count == len(ROWS)
    with pytest.raises(BadLinesError) as caught:
        from_uploads([("kg.tsv", b"no triplet\n" * 100_000)], "kg")
    assert caught.value.count == 1_000 and len(caught.value.faults) == MOST_KEPT, (
        "it does not read on for ever"
    )


def test_a_title_above_a_table_is_a_bad_line_and_the_header_is_found() -> None:
    data = b"Exported in 2024\n\n" + table(",", "head,relation,tail")
    with pytest.raises(BadLinesError, match=r"kg.csv, line 1: 1 column"):
        from_uploads([("kg.csv", data)], "kg")
    assert facts(from_uploads([("kg.csv", data)], "kg", columns=Columns(leave_out=True))) == FACTS


def test_the_terminal_lists_them_and_leaves_them_out(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("DANS_OWN_DIR", str(tmp_path / "own"))
    path = tmp_path / "kg.csv"
    path.write_bytes(with_bad_lines(BAD))
    assert main(["datasets", str(path)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"error: 5 lines are no triplets, and {len(ROWS)} are"
    assert [line.split(":")[0] for line in said[1:6]] == [f"  {path}, line {n}" for n in (5, 9, 14, 20, 33)]
    assert said[6:] == ["mend them, or leave them out: python -m dans_core datasets --add FILE --leave-out"]
    assert main(["datasets", "--add", str(path), "--name", "mine", "--leave-out"]) == 0
    assert "note: kg.csv: 5 lines left out" in capsys.readouterr().out
    assert facts(load("mine")) == FACTS and "5 lines left out" in str(load("mine").notes)
    assert main(["datasets", "--leave-out"]) == 2
    assert "--leave-out goes with NAME or --add PATH" in capsys.readouterr().err


# --- files that belong together

PARTS = {"train": ROWS[:60], "valid": ROWS[60:70], "test": ROWS[70:]}
ENTITIES = sorted({name for head, _, tail in ROWS for name in (head, tail)})
RELATIONS = sorted({relation for _, relation, _ in ROWS})


def text(rows: list[Triplet]) -> bytes:
    return "".join("\t".join(row) + "\n" for row in rows).encode()


def ids(rows: list[Triplet]) -> list[tuple[int, int, int]]:
    return [(ENTITIES.index(h), RELATIONS.index(r), ENTITIES.index(t)) for h, r, t in rows]


def openke() -> dict[str, bytes]:
    files = {
        f"{split}2id.txt": f"{len(rows)}\n" + "".join(f"{h} {t} {r}\n" for h, r, t in ids(rows))
        for split, rows in PARTS.items()
    }
    for kind, names in (("entity", ENTITIES), ("relation", RELATIONS)):
        files[f"{kind}2id.txt"] = f"{len(names)}\n" + "".join(
            f"{name}\t{i}\n" for i, name in enumerate(names)
        )
    return {name: data.encode() for name, data in files.items()}


def with_dicts(
    by_id: bool, ending: str = ".dict", kinds: tuple[str, str] = ("entities", "relations")
) -> dict[str, bytes]:
    files = {
        f"{split}.txt": text([(str(h), str(r), str(t)) for h, r, t in ids(rows)]) if by_id else text(rows)
        for split, rows in PARTS.items()
    }
    for kind, names in zip(kinds, (ENTITIES, RELATIONS), strict=True):
        files[kind + ending] = "".join(f"{i}\t{name}\n" for i, name in enumerate(names)).encode()
    return files


FOLDERS: dict[str, dict[str, bytes]] = {
    "OpenKE": openke(),
    "RotatE, names": with_dicts(by_id=False),
    "RotatE, ids": with_dicts(by_id=True),
    "LibKGE": with_dicts(True, ".del", ("entity_ids", "relation_ids")),
    "DGL-KE": with_dicts(True, ".tsv"),
    "val": {
        f"{name}.tsv": text(rows) for name, rows in zip(("train", "val", "test"), PARTS.values(), strict=True)
    },
    "prefixes": {f"wordnet-mlj12-{split}.txt": text(rows) for split, rows in PARTS.items()},
    "copies": {f"{split} (1).txt": text(rows) for split, rows in PARTS.items()},
    "long names": dict(
        zip(("training.txt", "validation.txt", "testing.txt"), map(text, PARTS.values()), strict=True)
    ),
    "no endings": {split: text(rows) for split, rows in PARTS.items()},
}


def archive(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for name, data in files.items():
            packed.writestr(f"kg/{name}", data)
    return stream.getvalue()


@pytest.mark.parametrize("name", FOLDERS)
def test_files_of_one_data_set(name, tmp_path) -> None:
    files = FOLDERS[name]
    for file, data in files.items():
        (tmp_path / file).write_bytes(data)
    ways = [list(files.items()), list(reversed(files.items())), [("kg.zip", archive(files))]]
    for found in (load(tmp_path), *(from_uploads(way, "kg") for way in ways)):
        assert found.splits == PARTS and found.split_seed is None


def test_ids_without_a_name_are_told() -> None:
    files = with_dicts(by_id=True)
    files["entities.dict"] = files["entities.dict"].replace(b"0\tdrug0\n", b"")
    with pytest.raises(
        InputError, match=r'entities.dict has no name for "0", and 1 name of the entities in all'
    ):
        from_uploads(list(files.items()), "kg")
    files["entities.dict"] = b"0\tdrug0\n0\tdrug1\n"
    with pytest.raises(InputError, match=r'entities.dict, line 2: the id "0" stands above already'):
        from_uploads(list(files.items()), "kg")


def test_labels_name_what_they_know_and_keep_apart_what_shares_a_label() -> None:
    rows = [(f"Q{i % 8}", "P1", f"Q{(i * 3 + 1) % 8}") for i in range(24)]
    labels = b"Q0\tBerlin\nQ1\tParis\nQ2\tParis\nP1\tborders\n"
    files = [(f"{split}.txt", text(rows)) for split in SPLITS] + [("labels.tsv", labels)]
    found = facts(from_uploads(files, "kg"))
    names = {name for head, _, tail in found for name in (head, tail)}
    assert {"Berlin", "Paris (Q1)", "Paris (Q2)", "Q3"} <= names
    assert {relation for _, relation, _ in found} == {"borders"}


@pytest.mark.parametrize("missing", [["valid", "test"], ["valid"], ["test"]])
def test_what_has_no_file_is_taken_from_train_and_said(missing: list[str]) -> None:
    rows = {**PARTS, "train": ROWS}
    files = [(f"{split}.txt", text(rows[split])) for split in SPLITS if split not in missing]
    found = from_uploads(files, "kg", split_seed=3)
    assert found == from_uploads(files, "kg", split_seed=3) != from_uploads(files, "kg", split_seed=4)
    assert found.split_seed == 3 and str(found.notes[0]).endswith(
        "every name occurring in train" if len(missing) == 2 else "taken for it here by split seed 3"
    )
    assert facts(found) == FACTS
    for split in missing:
        assert found.splits[split] and not set(found.splits[split]) & set(found.splits["train"])
    for split in {"valid", "test"} - set(missing):
        assert found.splits[split] == PARTS[split]


# --- the terminal


def test_the_terminal_says_how_to_decide_and_takes_it(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("DANS_OWN_DIR", str(tmp_path / "own"))
    path = tmp_path / "kg.tsv"
    path.write_bytes(table(shape=lambda i, row: (row[0], row[2], row[1])))
    assert main(["datasets", str(path)]) == 0
    assert (
        f"If that is wrong: python -m dans_core datasets --add {path} --columns 1,3,2"
        in capsys.readouterr().out
    )
    assert main(["datasets", str(path), "--columns", "1,3,2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["statistics"]["relations"] == len(RELATIONS) and len(told["notes"]) == 1
    assert main(["datasets", "--add", str(path), "--columns", "1,3,2", "--name", "mine"]) == 0
    assert facts(load("mine")) == FACTS
    capsys.readouterr()
    for wrong, words in {
        ("--columns", "1,2"): "such as 1,3,2",
        ("--header",): "--header goes with NAME",
    }.items():
        assert main(["datasets", *([str(path)] if "--columns" in wrong else []), *wrong]) == 2
        assert words in capsys.readouterr().err


def test_what_is_kept_is_read_as_it_was_whatever_it_looks_like(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DANS_OWN_DIR", str(tmp_path))
    odd = [("# a", '"r ""x"""', "head"), ("head", "relation", "tail"), ("#", "r", "0.5")]
    own.add(Dataset("x", {split: odd for split in SPLITS}), "odd")
    assert load("odd").splits == {split: odd for split in SPLITS}


# --- what is too little to conclude from


def test_one_row_tells_nothing_of_its_columns() -> None:
    files = [(f"{split}.tsv", b"a\tr\tb\tHIGH\n") for split in SPLITS]
    with pytest.raises(InputError, match=r"train.tsv, line 1: 4 columns separated by tabs"):
        from_uploads(files, "kg")


def test_blank_cells_are_passed_over_and_a_missing_name_is_not() -> None:
    blank = FORMS["excel.csv"] + b" ; ; ;;\r\n"
    assert facts(from_uploads([("kg.csv", blank)], "kg")) == FACTS
    with pytest.raises(InputError, match="the name of the head is empty"):
        from_uploads([("kg.csv", FORMS["excel.csv"] + b" ;binds;gene1;;\r\n")], "kg")


def test_a_first_line_that_is_said_to_be_a_triplet_is_one() -> None:
    data = table(header="source\tweight\ttarget")
    with pytest.raises(InputError, match="a header without a column for the relation"):
        from_uploads([("kg.tsv", data)], "kg")
    found = from_uploads([("kg.tsv", data)], "kg", columns=Columns(header=False))
    assert facts(found) == FACTS | {("source", "weight", "target")}
