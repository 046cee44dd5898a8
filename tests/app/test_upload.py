"""The upload panel without a browser: what it says of good, odd, wrong and hostile files, and what it keeps."""

from __future__ import annotations

import gzip
import io
import os
import re
import zipfile
from pathlib import Path

import pytest
import streamlit as st
from hypothesis import given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

import dans_data
from dans_app.data import upload_panel, upload_preview, upload_process, upload_reading, upload_words
from dans_app.shared.words import markdown_text
from dans_core.kg import KnowledgeGraph
from dans_data import SPLITS, naming, own
from dans_data.columns import Columns
from dans_data.faults import BadLinesError
from dans_data.text import EncodingError
from tests.data import test_cases
from tests.waiting import PATIENCE

HOSTILE = "<img src=x onerror=alert(1)> **b** [a](http://b) $x$ `c` :red[d] :material/bolt:"
NAMES = {
    "train.txt": "train",
    "Valid.tsv.gz": "valid",
    "folder/test.nt": "test",
    r"c:\data\TRAIN.CSV": "train",
}


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch) -> Path:
    """An own place for what is kept."""
    monkeypatch.setenv("DANS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DANS_OWN_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.delenv("DANS_DATA_DIR", raising=False)
    monkeypatch.delenv("DANS_LIMITS", raising=False)
    st.cache_resource.clear()
    st.cache_data.clear()
    return tmp_path / "own"


def _page() -> None:
    import streamlit as st

    from dans_app.data import upload_panel

    upload_panel.panel()
    st.markdown("The rest of the page.")


def panel(*files: tuple[str, bytes]) -> AppTest:
    app = AppTest.from_function(_page, default_timeout=PATIENCE).run()
    assert not app.exception
    return drop(app, *files) if files else app


def drop(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    """Add files to those on the panel."""
    place = app.file_uploader[0]
    here = [(file.name, file.getvalue(), file.type) for file in place.value]
    place.set_value([*here, *((name, data, "text/plain") for name, data in files)])
    return calm(app.run())


def calm(app: AppTest) -> AppTest:
    assert not app.exception
    assert app.markdown[-1].value == "The rest of the page."
    return app


def words(app: AppTest) -> str:
    """All that is said, whatever it is said in."""
    kinds = (app.markdown, app.caption, app.error, app.warning, app.info, app.success)
    return "\n".join(item.value for kind in kinds for item in kind)


def meant(said: str) -> list[str]:
    """The parts of hostile names that mean something where they are said."""
    parts = (
        r"<img",
        r"\*\*b\*\*",
        r"\[a\]",
        r"\$x\$",
        "`c`",
        ":red.d",
        ":red.one",
        "<b>",
        r"\$a\$",
        ":material/bolt",
    )
    return [part for part in parts if re.search(rf"(?<!\\){part}", said)]


def lines(*rows: tuple[str, str, str]) -> bytes:
    return "".join("\t".join(row) + "\n" for row in rows).encode()


def packed(**files: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{name}.txt", content)
    return data.getvalue()


def bundled(name: str) -> dict[str, bytes]:
    return {split: (dans_data.BUNDLED / name / f"{split}.txt").read_bytes() for split in SPLITS}


# --- what was read


def test_one_file_is_shown_split_and_kept(kept):
    app = panel(("Our Facts.tsv", upload_words.SAMPLE))
    rows = [tuple(line.split("\t")) for line in upload_words.SAMPLE.decode().splitlines()]
    names = {name for head, _, tail in rows for name in (head, tail)}
    assert f"{len(names)} entities" in words(app) and f"{len(rows)} triplets" in words(app)
    assert "3 relations" in words(app)
    shown = app.dataframe[0].value
    assert list(shown.columns) == ["head", "relation", "tail"] and len(shown) == upload_process.FIRST_ROWS
    assert set(map(tuple, shown.to_numpy())) <= set(rows)
    assert app.number_input[0].value == 0 and app.text_input[0].value == "our-facts"
    assert not app.warning and not app.error and not kept.exists(), "nothing is written before the button"

    app.button[0].click().run()
    assert own.names() == ["our-facts"]
    assert "our\\-facts" in calm(app).success[0].value and not app.dataframe
    kept = KnowledgeGraph.load("our-facts")
    assert {triplet for split in SPLITS for triplet in dans_data.load("our-facts").splits[split]} == set(rows)
    wanted = dans_data.from_uploads([("Our Facts.tsv", upload_words.SAMPLE)], "x", split_seed=0)
    assert kept.hash == KnowledgeGraph.from_names(wanted.splits, "x").hash


def test_the_seed_decides_the_split_of_one_file_alone():
    app = panel(("facts.tsv", upload_words.SAMPLE))
    app.number_input[0].set_value(7).run()
    app.button[0].click().run()
    kept = dans_data.load("facts").splits
    wanted = dans_data.from_uploads([("facts.tsv", upload_words.SAMPLE)], "x", split_seed=7).splits
    assert {split: set(kept[split]) for split in SPLITS} == {split: set(wanted[split]) for split in SPLITS}
    app = panel(*((f"{split}.txt", data) for split, data in bundled("nations").items()))
    assert not app.number_input


@pytest.mark.parametrize("form", ["three", "zip", "gz"])
def test_files_that_are_split_already_stay_as_they_are(form):
    files = bundled("nations")
    dropped = {
        "three": [(f"{split}.txt", data) for split, data in files.items()],
        "zip": [("nations-data.zip", packed(**files))],
        "gz": [(f"{split}.tsv.gz", gzip.compress(data)) for split, data in files.items()],
    }[form]
    app = panel(*dropped)
    for text in ("14 entities", "55 relations", "1,992 triplets", "Train 1,592 (80 %), valid 199 (10 %)"):
        assert text in words(app)
    app.button[0].click().run()
    (name,) = own.names()
    assert name == ("nations-data" if form == "zip" else "my-triplets")
    assert KnowledgeGraph.load(name).hash == KnowledgeGraph.load("nations").hash


def test_every_form_that_people_have_is_the_same_graph_on_the_panel():
    facts = test_cases.FACTS
    entities = {name for head, _, tail in facts for name in (head, tail)}
    counts = f"{len(entities)} entities · 3 relations · {len(facts)} triplets"
    app = panel()
    for name, data in test_cases.FORMS.items():
        drop(app, (name, data))
        assert counts in words(app) and not app.error and not app.warning, name
    for name, files in test_cases.FOLDERS.items():
        app = panel(*files.items())
        shares = upload_words.shares({split: len(set(rows)) for split, rows in test_cases.PARTS.items()})
        assert f"{len(entities)} entities · 3 relations" in words(app) and shares in words(app), name


def test_what_is_odd_is_said_in_words():
    facts = [(f"e{i}", "r", f"e{(i * 7 + 1) % 20}") for i in range(20)]
    train = [*facts, facts[0], ("e1", "r", "e1"), (facts[3][2], "r", facts[3][0]), ("e1", "lonely", "e2")]
    app = panel(
        ("train.tsv", lines(*train)),
        ("valid.tsv", lines(facts[1], ("new", "r", "e1"))),
        ("test.tsv", lines(facts[2], ("e3", "r", "e2"))),
    )
    said = words(app)
    for part in ("overlap", "never occurs in train", "twice", "itself", "only one"):
        assert part in said, part
    assert upload_words.NOTHING_ODD not in said


# --- wrong files


@pytest.mark.parametrize(
    "files",
    [
        [("a.tsv", b"\x00\x01\x02")],
        [("a.tsv", b"one\ttwo\n")],
        [("a.tsv", b"")],
        [("a.csv", b"a,b\n1,2\n")],
        [("a.zip", b"PK\x03\x04 broken")],
        [("a.tsv.gz", b"not gzip")],
        [("a.pdf", b"%PDF-1.7")],
        [("train.tsv", b"a\tb\tc\n"), ("test.tsv", b"a\tb\tc\n")],
        [("a.tsv", upload_words.SAMPLE), ("b.tsv", upload_words.SAMPLE)],
        [(f"{HOSTILE}.tsv", f"{HOSTILE}\tb\n".encode())],
    ],
)
def test_a_wrong_file_gets_one_sentence_and_the_right_one_takes_its_place(files, kept):
    app = panel(*files)
    assert len(app.error) == 1 and not app.button and not kept.exists()
    assert not any("head" in table.value.columns for table in app.dataframe)
    assert app.error[0].value.endswith(".") and "\n" not in app.error[0].value
    drop(app, ("good.tsv", upload_words.SAMPLE))
    assert not app.error and app.text_input[0].value == "good"
    assert "not used any more" in words(app)
    app.file_uploader[0].clear()
    assert not calm(app.run()).dataframe


def test_all_bad_lines_are_listed_and_left_out_by_a_button():
    rows = upload_words.SAMPLE.decode().splitlines()
    broken = "\n".join([*rows[:3], f"{HOSTILE}\tb", *rows[3:], "\tr\tb", "a\tr\tb\tc"])
    app = panel(("facts.tsv", broken.encode()))
    assert app.error[0].value == f"3 lines are no triplets; {len(rows)} are."
    assert list(app.dataframe[0].value["Line"]) == [4, len(rows) + 2, len(rows) + 3]
    assert "head is empty" in app.dataframe[0].value["What is wrong"][1]
    (button,) = app.button
    assert button.label == "Leave these 3 lines out"
    button.click()
    assert not calm(app.run()).error
    assert f"{len(rows)} triplets" in words(app) and "3 lines left out, which are no triplets" in words(app)
    app.button[0].click().run()
    assert "3 lines left out" in str(dans_data.load("facts").notes)

    # The next file is asked about anew.
    drop(app, ("more.tsv", (upload_words.SAMPLE + b"x\ty\n") * 2))
    assert app.button[0].label == "Leave these 2 lines out" and len(app.error) == 1
    drop(app, ("most.tsv", b"x\ty\n" * 30))
    assert not app.button and "most of the lines" in app.error[0].value


def test_an_encoding_that_was_chosen_stays_while_lines_are_left_out():
    rows = upload_words.SAMPLE.decode().splitlines()
    broken = "\n".join([*rows, "Ménière\ttreats\taspirin", "Ménière\tb"])
    app = panel(("facts.tsv", broken.encode("cp1252")))
    assert "UTF" in app.error[0].value and "python" not in app.error[0].value
    app.button[0].click()
    assert "Leave this line out" in [button.label for button in calm(app.run()).button]
    app.button[0].click()
    assert not calm(app.run()).error
    assert f"{len(rows) + 1} triplets" in words(app) and "text read as windows" in words(app)
    assert app.selectbox[0].value == "windows-1252"


def test_nonsense_in_the_limits_is_told(monkeypatch):
    monkeypatch.setenv("DANS_LIMITS", "triplets=many")
    assert "DANS\\_LIMITS" in panel().error[0].value
    monkeypatch.setenv("DANS_LIMITS", "triplets=15")
    app = panel(("a.tsv", upload_words.SAMPLE))
    assert "15" in app.error[0].value and "triplets" in app.error[0].value


def test_names_mean_nothing_on_the_panel():
    bad = [HOSTILE + "x" * 500, "$a$", "_b_", "# c", ":material/bolt:", "<b>d</b>"]
    rows = [(bad[i % 6], bad[(i * 5 + 1) % 6] + "r", bad[(i + 1 + i // 6) % 6]) for i in range(30)]
    file = HOSTILE.replace("/", "")
    app = panel((f"{file}.tsv", lines(*rows, rows[0], ("$a$", ":red[one]", "$a$"))))
    assert app.dataframe and app.text_input[0].value.startswith("img-src-x")
    assert meant(words(app)) == []
    assert meant(words(drop(app, ("train.tsv", lines(*rows)), (f"{file}.nt", lines(*rows))))) == []


# --- keeping


def test_the_name_is_checked_as_it_is_typed():
    app = panel(("umls.tsv", upload_words.SAMPLE))
    assert app.text_input[0].value == "umls-2"
    for wrong in ("umls", "UMLS", "", "数据", "/"):
        app.text_input[0].set_value(wrong)
        assert calm(app.run()).button[0].disabled
        assert any(c.value.startswith(":red[") for c in app.caption)
        assert meant(words(app)) == []
    for typed, name in (("Not A Name", "not-a-name"), ("../x", "x"), (HOSTILE, own.mended(HOSTILE))):
        app.text_input[0].set_value(typed)
        assert not calm(app.run()).button[0].disabled
        assert f"It will be called **{markdown_text(name)}**" in words(app) and meant(words(app)) == []
    app.text_input[0].set_value("mine")
    assert not calm(app.run()).button[0].disabled
    app.button[0].click().run()
    assert own.names() == ["mine"]
    assert own.name_error("mine") is not None


def test_a_name_taken_meanwhile_is_told_and_nothing_is_lost():
    app = panel(("mine.tsv", upload_words.SAMPLE))
    own.add(dans_data.load("nations"), "mine")
    app.button[0].click().run()
    assert "there is a data set" in words(calm(app)).lower() and app.dataframe
    assert KnowledgeGraph.load("mine").hash == KnowledgeGraph.load("nations").hash


def test_files_are_read_once_and_let_go(monkeypatch):
    counted = []
    real = upload_process.read
    monkeypatch.setattr(upload_process, "read", lambda *args: counted.append(1) or real(*args))
    app = panel(("a.tsv", upload_words.SAMPLE))
    app.text_input[0].set_value("another").run()
    app.text_input[0].set_value("third").run()
    assert len(counted) == 1 and "upload_read" in app.session_state
    app.number_input[0].set_value(3).run()
    assert len(counted) == 2
    app.file_uploader[0].clear()
    app.run()
    assert "upload_read" not in app.session_state
    drop(app, ("b.tsv", b"one\ttwo\n")).run()
    assert len(counted) == 3 and len(calm(app.run()).error) == 1, "what cannot be read is tried once, too"
    drop(app, ("c.tsv", upload_words.SAMPLE))
    app.button[0].click().run()
    assert "upload_read" not in app.session_state


# --- the parts


ROWS = [(f"e{i}", "a, b", f"e{i + 1}") for i in range(30)]
COMMAS = "\n\nx,object,subject,predicate\n" + "".join(f'1,{t},{h},"{r}"\n' for h, r, t in ROWS)
SEMICOLONS = "".join(f"{h};{r};{t}\r\n" for h, r, t in ROWS)
TRIPLES = "# facts\n" + "".join(f"<{h}> <a> <{t}> .\n" for h, _, t in ROWS)


@pytest.mark.parametrize(
    ("files", "way", "first"),
    [
        ([("a.tsv", lines(*ROWS))], "text, columns separated by tabs, no header", ROWS[0]),
        ([("a.csv", COMMAS.encode())], "CSV, columns separated by commas, with a header", ROWS[0]),
        ([("a.csv", SEMICOLONS.encode())], "CSV, columns separated by semicolons, no header", ROWS[0]),
        ([("a.nt", TRIPLES.encode())], "N-Triples", ("e0", "a", "e1")),
        ([("a.NT.gz", gzip.compress(TRIPLES.encode()))], "packed by gzip, N-Triples", ("e0", "a", "e1")),
        (
            [("a.zip", packed(facts=lines(*ROWS)))],
            "zip archive, text, columns separated by tabs, no header",
            ROWS[0],
        ),
        (
            [("test.txt", lines(*ROWS[9:])), ("dev.csv", SEMICOLONS.encode()), ("train.txt", lines(*ROWS))],
            "3 files: text, columns separated by tabs, no header / CSV, columns separated by semicolons, no header",
            ROWS[0],
        ),
    ],
)
def test_how_files_are_written_and_how_they_begin(files, way, first):
    found, rows = upload_preview.preview(files, 10)
    assert found == way and rows[0] == first and len(rows) == 10
    every = dans_data.from_uploads(files, "x").splits
    assert set(rows) <= {triplet for split in SPLITS for triplet in every[split]}


@given(some.lists(some.sampled_from(["train.tsv", "valid.tsv", "test.tsv", "TEST.nt", "a.tsv", "b.zip"])))
def test_the_newest_files_count(names):
    used = upload_reading.in_use(names, range(len(names)))
    splits = [naming.split_of(names[place]) for place in used]
    assert bool(used) == bool(names) and used == sorted(used) and len(set(splits)) == len(splits)
    assert not used or used[-1] == len(names) - 1
    assert None not in splits or len(used) == 1
    for place, name in enumerate(names):
        # What does not count was followed by something that takes its place.
        later = [naming.split_of(other) for other in names[place + 1 :]]
        split = naming.split_of(name)
        gone = None in later or split in later or (split is None and bool(later))
        assert (place in used) != gone


@pytest.mark.parametrize(
    "names",
    [
        ["a.tsv", "b.tsv"],
        ["train.tsv", "notes.tsv"],
        ["train.tsv", "val.tsv", "test.tsv", "entities.dict", "relations.dict"],
        ["entities.dict", "test.tsv", "train (1).txt"],
    ],
)
def test_files_that_come_together_are_one_data_set_or_none(names):
    assert upload_reading.in_use(["old.csv", *names], [1, *[2] * len(names)]) == list(
        range(1, len(names) + 1)
    )


@given(some.text(max_size=60))
def test_a_suggestion_is_a_name(title):
    assert own.name_error(upload_panel.suggested(title)) is None


def test_the_sample_is_a_good_example():
    dataset = dans_data.from_uploads([("sample.tsv", upload_words.SAMPLE)], "sample")
    kg = KnowledgeGraph.from_names(dataset.splits, "sample")
    assert min(len(kg.array(split)) for split in SPLITS) >= 3
    assert markdown_text("a\u202eb") == "ab"


# --- the process that reads


def test_files_are_read_outside_the_server_without_torch(monkeypatch):
    """What the server holds of them are numbers; names become a data set again where it is kept."""
    rows = [(f"a{one}", "r", f"b{two}") for one in range(6) for two in range(6)] + [("a0", "r", "b0")]
    reading, first = upload_process.read([("mine.tsv", lines(*rows))], "mine", 0, Columns())
    here = dans_data.from_uploads([("mine.tsv", lines(*rows))], "mine")
    assert reading.dataset.splits == here.splits and reading.dataset.split_seed == 0
    assert [str(note) for note in reading.dataset.notes] == [str(note) for note in here.notes] != []
    assert first == [list(row) for row in rows[: upload_process.ROWS_AS_THEY_STAND]]
    process = upload_process._SMALL_FILES._process
    assert process.pid != os.getpid()
    assert "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text()


def test_a_file_that_takes_too_long_or_ends_the_process_costs_a_sentence(monkeypatch):
    good = ("good.tsv", upload_words.SAMPLE)
    many = lines(*((f"a{number}", "r", f"b{number}") for number in range(30_000)))
    process = upload_process._SMALL_FILES
    with monkeypatch.context() as patch:
        patch.setattr(process, "_seconds", 0.0001)
        # One that is read in a moment could be there before anyone has looked at the time.
        app = panel(("slow.tsv", many))
        assert "was given up after" in app.error[0].value
    app = panel(good)
    assert not app.error and "3 relations" in words(app)
    with monkeypatch.context() as patch:
        patch.setattr(upload_process, "_memory", lambda: 1)
        app = panel(("many.tsv", many))
        assert re.search("needs more than .* of memory|could not be read", app.error[0].value)
    app = panel(good)
    assert not app.error and "3 relations" in words(app)


def test_what_is_wrong_comes_back_as_it_was():
    bad, _ = upload_process.read([("bad.tsv", b"a\tr\tb\nc\td\ne\tr\tf\ng\tr\th\n")], "bad", 0, Columns())
    assert isinstance(bad, BadLinesError) and bad.few and (bad.count, bad.read) == (1, 3)
    assert bad.faults[0].line == 2 and str(bad).startswith("bad.tsv, line 2: ")
    coded, _ = upload_process.read([("coded.tsv", "a\tr\tä\n".encode("latin-1"))], "coded", 0, Columns())
    assert isinstance(coded, EncodingError) and coded.hint.startswith("python")
