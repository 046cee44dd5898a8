"""Downloads of the app: CSV that no spreadsheet runs, charts that stand alone, and what Share offers."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

from dans_app.server import inspecting
from dans_app.shared import exports
from dans_lab.cli import main
from dans_lab.export import run_archive, run_export
from dans_lab.runs.run import Run, list_runs
from tests import small_run
from tests.small_run import ROOT
from tests.spreadsheets import original_text

NASTY = ["=1+1", "+1x", "-2+3", "@SUM(A1)", "'=x", "-5", 'a"b', "a,b", "two\nlines", "a\rb"]
HOSTILE = "</script><img src=x onerror=alert(1)>"
texts = some.one_of(some.sampled_from(NASTY), some.text(some.characters(exclude_categories=["Cs"])))


# --- tables


@given(some.lists(some.tuples(texts, some.floats(allow_nan=False, allow_infinity=False)), min_size=1))
def test_a_table_reads_back(rows):
    data = exports.csv(pd.DataFrame(rows, columns=["=name", "number"]))
    heading, *found = csv.reader(io.StringIO(data.decode(), newline=""))
    assert heading == ["'=name", "number"]
    assert [(original_text(name), float(number)) for name, number in found] == rows


def test_only_text_is_touched():
    rows = pd.DataFrame(
        {"mixed": ["=1", -2, None], "whole": [-1, 2, 3], "kind": pd.Categorical(["-a", "b", "-a"])}
    )
    before = rows.copy(deep=True)
    assert exports.csv(rows).decode().split("\r\n") == [
        "mixed,whole,kind",
        "'=1,-1,'-a",
        "-2,2,b",
        ",3,'-a",
        "",
    ]
    pd.testing.assert_frame_equal(rows, before)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("Negatives of run a-b", "negatives-of-run-a-b.csv"),
        ("../../etc/passwd", "etc-passwd.csv"),
        ("<img> é", "img.csv"),
        ("…", "dans.csv"),
        ("x" * 500, "x" * 80 + ".csv"),
    ],
)
def test_file_names_are_those_every_system_takes(name, file):
    assert exports.file_name(name, "csv") == file


# --- charts


def test_a_chart_stands_alone():
    figure = go.Figure(go.Scatter(x=np.arange(3), y=np.arange(3), name=HOSTILE, hovertext=[HOSTILE] * 3))
    before = figure.to_json()
    page = exports.web_page(figure, f"Chart {HOSTILE}", f"Three points {HOSTILE}").decode()
    assert figure.to_json() == before
    assert "<img" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert page.count("<h1>Chart &lt;/script&gt;") == 1 and "<figcaption>Three points &lt;" in page
    assert "Plotly.newPlot" in page and '"showSendToCloud": false' in page and '"displaylogo": false' in page
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=", page), "it fetches something"
    assert len(page) > 1_000_000, "it holds no Plotly"


def test_table_and_chart_on_a_page():
    def page():
        import pandas as pd
        import plotly.graph_objects as go

        from dans_app.shared import exports

        exports.table(pd.DataFrame({"a": [1]}), "First table")
        exports.table(pd.DataFrame({"a": [1]}), "Second table")
        exports.chart(go.Figure(go.Scatter(x=[1], y=[2])), key="dots", alt="One dot", name="A dot")

    app = AppTest.from_function(page).run()
    assert not app.exception
    buttons = [button.proto for button in app.get("download_button")]
    assert [button.label for button in buttons] == ["Table as CSV", "Table as CSV", "Chart as a web page"]
    # Nothing is made before it is asked for.
    assert all(button.deferred_file_id and not button.url for button in buttons)
    drawn = app.get("plotly_chart")[0].proto
    config = json.loads(drawn.config)
    assert config["toImageButtonOptions"] == {"format": "png", "scale": 2, "filename": "a-dot"}
    assert "toImage" in config["modeBarButtons"][0] and not config["showSendToCloud"]


# --- Share


@pytest.fixture
def alone(tmp_path, monkeypatch):
    small_run.only(tmp_path / "runs", tmp_path, monkeypatch)


triplet = partial(small_run.screen, "triplet.py")


def shared(app: AppTest) -> tuple[list[str], dict[str, object]]:
    """What the dialog shows: code blocks, and its download buttons by label."""
    app.button(key="toolbar_share").click().run()
    assert not app.exception
    buttons = {button.proto.label: button.proto for button in app.get("download_button")}
    return [code.value for code in app.code], buttons


def test_share_gives_address_command_and_files(alone, tmp_path, nations):
    run = small_run.drawn(tmp_path / "runs", nations, "nations", "one")
    app = triplet(run="one", head="brazil", relation="embassy", tail="china", side="head")
    assert not app.code, "the dialog is closed"
    (address, command, whole), buttons = shared(app)
    assert address == "/?run=one&head=brazil&relation=embassy&tail=china&side=head"
    assert command == run_export.command(run) and whole == "python -m dans_core export one --to FOLDER"
    files = {
        name: buttons[name] for name in ("config.json", "metrics.csv", "negatives.csv", "embeddings.zip")
    }
    assert not any(file.disabled or file.url for file in files.values())
    assert all(file.deferred_file_id for file in files.values())
    words = " ".join(each.value for each in app.markdown)
    assert "This run does not" in words and "“nations” is there" in words
    assert not buttons["run.zip"].disabled


def test_the_model_is_what_the_command_writes(alone, tmp_path):
    run = small_run.trained(tmp_path / "runs", "small", sampler="uniform")
    _, buttons = shared(triplet(run="small"))
    assert not buttons["model.zip"].disabled and "best epoch" in buttons["model.zip"].help
    with zipfile.ZipFile(io.BytesIO(inspecting.export(run, "best"))) as packed:
        packed.extractall(tmp_path)
    assert main(["export", "small", "--to", str(tmp_path / "out")]) == 0
    for file in (tmp_path / "out").rglob("*"):
        if file.is_file() and file.suffix != ".npz":
            assert file.read_bytes() == (tmp_path / "small" / file.relative_to(tmp_path / "out")).read_bytes()
    assert (tmp_path / "small" / "embeddings.npz").is_file()


def test_a_run_without_weights_has_no_model(alone, tmp_path, nations):
    small_run.drawn(tmp_path / "runs", nations, "nations", "bare")
    _, buttons = shared(triplet(run="bare"))
    assert buttons["model.zip"].disabled and "kept no weights" in buttons["model.zip"].help


def test_the_file_of_a_run_opens_as_a_run_elsewhere(tmp_path, nations):
    run = small_run.drawn(tmp_path / "here", nations, "nations", "one")
    with zipfile.ZipFile(io.BytesIO(run_archive.archive(run))) as packed:
        assert not {"run.lock", "control.json", "log.txt"} & {Path(name).name for name in packed.namelist()}
        packed.extractall(tmp_path / "there")
    (found,) = list_runs(tmp_path / "there")
    assert (found.id, found.config, found.events()) == (run.id, run.config, run.events())
    assert [epoch for epoch, _ in found.snapshots()] == [epoch for epoch, _ in run.snapshots()]
    found.load_snapshot(found.snapshots()[-1][0])


def test_without_a_snapshot_there_are_no_negatives_to_download(alone, tmp_path, nations):
    small_run.drawn(tmp_path / "runs", nations, "nations", "bare", epochs=())
    _, buttons = shared(triplet(run="bare"))
    assert buttons["negatives.csv"].disabled and buttons["embeddings.zip"].disabled
    assert not buttons["metrics.csv"].disabled and "no snapshot" in buttons["negatives.csv"].help


def test_a_view_without_a_run_can_be_shared(alone):
    codes, buttons = shared(triplet())
    assert codes == ["/"] and not buttons


def test_a_file_that_cannot_be_made_says_why(alone, tmp_path, nations):
    run = small_run.drawn(tmp_path / "runs", nations, "nations", "torn")
    (run.path / "snapshots" / "000005.npz").write_bytes(b"torn")
    made = exports._or_sentence(lambda: run_export.negatives_csv(run_export.newest_snapshot(Run(run.path))))
    assert (
        made.startswith(b"This file could not be made: ")
        and b"is not a snapshot" in made
        and made.count(b"\n") == 1
    )


def test_every_screen_has_the_toolbar(alone, tmp_path, nations):
    small_run.drawn(tmp_path / "runs", nations, "nations", "one")
    for page in sorted((ROOT / "pages").glob("*.py")):
        text = page.read_text()
        whole = "shell.begin(" in text or "shell.head_of_run(" in text
        assert whole or ("shell.head" in text and "shell.toolbar(" in text), page.name
