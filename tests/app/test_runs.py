"""The Runs screen without a browser: its table, filters and addresses, names, deleting and taking back."""

import csv
import io
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
import streamlit as st
from hypothesis import given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

from dans_app.runs import listing, table, words
from dans_app.runs.disk_use import FolderSizes
from dans_app.runs.listing import Filter
from dans_app.server import jobs
from dans_app.shared import exports, settings, shell
from dans_app.shared.words import markdown_text
from dans_core.config import Config, parse
from dans_lab.presets import PRESETS
from dans_lab.runs import folder, trash
from dans_lab.runs.run import Run, open_run
from dans_lab.runs.writer import RunWriter
from tests import small_run

HOSTILE = "<img src=x onerror=alert(1)> [a](http://b) $x$ `c`"

screen = partial(small_run.screen, "runs.py")


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch) -> Path:
    """Own folders and no recorded run."""
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr("dans_lab.runs.run.RECORDED", tmp_path / "recorded")
    st.cache_resource.clear()
    st.cache_data.clear()
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


def make(root: Path, run_id: str, state: str = "finished", dataset: str = "nations", **settings) -> Run:
    """A run as a worker would have left it; what is no setting goes into its status."""
    progress = {name: settings.pop(name) for name in list(settings) if name not in Config.model_fields}
    config = Config(epochs=200, **settings)
    with RunWriter.create(root, run_id, config, dataset, "0" * 64, dataset) as writer:
        writer.write_status(state, **progress)
        return writer.run


def shown(app: AppTest) -> list[str]:
    """Ids of the runs in the table."""
    return list(app.dataframe[0].value["id"]) if app.dataframe else []


def select(app: AppTest, *ids: str) -> AppTest:
    """As if these rows were marked."""
    app.session_state["runs_selected"] = list(ids)
    return calm(app.run())


def press(app: AppTest, label: str) -> AppTest:
    (button,) = (button for button in app.button if button.label == label)
    return calm(button.click().run())


def calm(app: AppTest) -> AppTest:
    assert not app.exception
    return app


def labels(app: AppTest) -> set[str]:
    return {button.label for button in app.button}


def asked(app: AppTest, name: str) -> str | None:
    value = app.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def markdown(app: AppTest) -> str:
    return "\n".join(item.value for item in app.markdown)


# --- the table


def test_the_table_says_what_the_runs_say(root, tmp_path):
    make(tmp_path / "recorded", "shipped", dataset="umls")
    run = make(
        root,
        "mine",
        "stopped",
        decoder="rotate",
        sampler="uniform",
        seed=7,
        epoch=50,
        best_mrr=0.25,
        best_epoch=40,
        seconds=3725.4,
    )
    folder.write_about(run, HOSTILE, "one\ntwo")
    app = screen()
    rows = app.dataframe[0].value.set_index("id")
    assert list(rows.index) == ["mine", "shipped"]
    mine = rows.loc["mine"]
    assert mine["name"] == HOSTILE and mine["note"] == "one two" and mine["state"] == "Stopped"
    assert (mine["data"], mine["decoder"], mine["sampler"]) == ("Nations", "RotatE", "Uniform")
    assert (mine["seed"], mine["epochs"], mine["progress"]) == (7, 200, 0.25)
    assert (mine["mrr"], mine["best_epoch"]) == (0.25, 40)
    assert mine["time"] == pd.Timedelta(seconds=3725)
    assert mine["created_at"] == pd.Timestamp(run.meta.created)
    assert mine["disk"] == sum(file.stat().st_size for file in run.path.rglob("*") if file.is_file())
    assert rows.loc["shipped", "name"] == "shipped" and pd.isna(rows.loc["shipped", "mrr"])
    assert "**1 run** in the runs folder" in markdown(app) and "1 recorded" in markdown(app)


def test_a_live_run_moves_on_with_the_ticks_and_is_marked(root):
    run = make(root, "mine", "stopped")
    with RunWriter.reopen(run.path) as writer:
        writer.write_status("running", epoch=20)
        app = screen()
        assert app.dataframe[0].value["state"][0] == "● Training" and "1 under way" in markdown(app)
        writer.write_status("running", epoch=40)
        assert app.run().dataframe[0].value["progress"][0] == 0.2
    app.run()
    assert app.dataframe[0].value["state"][0] == "Interrupted"


def test_no_run_at_all_and_folders_that_are_none(root):
    (root / "Not a run").mkdir()
    app = screen()
    assert shown(app) == [] and app.expander[0].label == "1 folder without a readable run"
    assert "is not a run id" in markdown(app)


values = some.one_of(some.none(), some.floats(0, 1, width=16))


@given(some.lists(some.tuples(values, values, values, values), min_size=1, max_size=6))
def test_same_order_is_what_sorting_by_each_column_says(rows):
    """A table that waits or not: the oracle sorts both by each column, ties as they stand."""
    ids = [f"r{number}" for number in range(len(rows))]

    def frame(*columns: int) -> pd.DataFrame:
        found = {f"c{column}": pd.array([row[column] for row in rows], dtype="Float64") for column in columns}
        return pd.DataFrame({"a": found[f"c{columns[0]}"], "b": found[f"c{columns[1]}"], "id": ids})

    before, now = frame(0, 1), frame(2, 3)
    same = all(
        list(before.sort_values(column, kind="stable", ascending=up)["id"])
        == list(now.sort_values(column, kind="stable", ascending=up)["id"])
        for column in ("a", "b")
        for up in (True, False)
    )
    if table.same_order(before, now):
        assert same
    assert table.same_order(before, before.copy())
    assert not table.same_order(before, now.iloc[:-1])


def test_while_runs_are_selected_rows_keep_their_places(root):
    """The browser keeps its marks in place, so values that would move the rows wait until nothing is marked."""
    make(root, "a", epoch=100)
    run = make(root, "b", "stopped")
    app = screen()
    with RunWriter.reopen(run.path) as writer:
        writer.write_status("running", epoch=50)
        select(app, "b")
        writer.write_status("running", epoch=60)
        assert app.run().dataframe[0].value["progress"].tolist() == [0.3, 0.5], "the order is the same"
        writer.write_status("running", epoch=150)
        assert app.run().dataframe[0].value["progress"].tolist() == [0.3, 0.5]
        assert "the table waits" in "\n".join(item.value for item in app.caption)
        assert select(app).dataframe[0].value["progress"].tolist() == [0.75, 0.5]
        select(app, "b")
        writer.write_status("running", epoch=20)
        folder.write_about(run, "zebra", "")
        app.run()
        assert app.dataframe[0].value["name"].tolist() == ["zebra", "a"], (
            "what a person does is shown at once"
        )


def test_the_csv_has_units_and_no_formulas(root):
    run = make(root, "a", seconds=61.0)
    folder.write_about(run, "=1+1", "")
    look = listing.look()
    rows = table.for_csv(table.frame(look.entries, [1234], UTC))
    assert {"best valid MRR", "test MRR", "differs from the defaults in"} <= set(rows.columns)
    (line,) = csv.DictReader(io.StringIO(exports.csv(rows).decode()))
    assert (line["id"], line["name"], line["bytes"], line["seconds"]) == ("a", "'=1+1", "1234", "61.0")
    assert line["created"] == datetime.fromisoformat(run.meta.created).isoformat()


# --- filters


def test_filters_come_from_the_address_and_go_back_to_it(root):
    make(root, "a", sampler="dans", decoder="distmult")
    make(root, "b", "stopped", sampler="uniform", dataset="umls")
    folder.write_about(make(root, "c", sampler="uniform"), "The Baseline", "first of them")
    app = screen(sampler="uniform", state="finished,stopped")
    assert shown(app) == ["c", "b"]
    assert app.multiselect(key="runs_sampler").value == ["uniform"]
    app.multiselect(key="runs_state").set_value(["finished"]).run()
    assert shown(calm(app)) == ["c"] and asked(app, "state") == "finished"
    app.multiselect(key="runs_sampler").set_value([]).run()
    app.multiselect(key="runs_state").set_value([]).run()
    assert shown(app) == ["c", "b", "a"] and asked(app, "sampler") is None and asked(app, "state") is None
    app.text_input(key="runs_text").set_value("BASE first").run()
    assert shown(app) == ["c"] and asked(app, "text") == "BASE first"
    app.text_input(key="runs_text").set_value("nothing").run()
    assert shown(app) == [] and "No run fits" in app.info[0].value
    press(app, "Clear the filters")
    assert shown(app) == ["c", "b", "a"] and app.text_input(key="runs_text").value == ""


def test_a_data_set_with_a_comma_can_be_filtered(root):
    make(root, "a", dataset="x, y")
    make(root, "b", dataset="x")
    app = screen(data="x%2C y")
    assert shown(app) == ["a"] and not app.warning
    app.multiselect(key="runs_data").set_value(["x", "x, y"]).run()
    assert shown(calm(app)) == ["b", "a"] and asked(app, "data") == "x,x%2C y"


@pytest.mark.parametrize(
    "query",
    [
        {"data": HOSTILE},
        {"decoder": "../../etc"},
        {"sampler": "dans,\0"},
        {"state": "x" * 5000, "decoder": "nix"},
    ],
)
def test_a_hostile_address_gets_one_sentence(root, query):
    make(root, "a")
    app = screen(**query)
    assert shown(app) == ["a"]
    (warning,) = app.warning
    assert "that filter is left out" in warning.value
    asked_for = next(iter(query.values())).removeprefix("dans,")
    assert len(query) > 1 or f"“{markdown_text(asked_for, 30)}”" in warning.value
    app.multiselect(key="runs_decoder").set_value(["complex"]).run()
    assert not calm(app).warning


def test_a_hostile_search_is_only_text(root):
    make(root, "a")
    for text in (HOSTILE, "(((", "\0\u202e", "x" * 10_000, "%"):
        app = screen(text=text)
        assert not app.warning and len(app.text_input(key="runs_text").value) <= listing.LONGEST_TEXT


def test_the_filter_says_what_a_slow_search_says(root):
    runs = [
        make(root, f"r-{number}", sampler=sampler, decoder=decoder)
        for number, (sampler, decoder) in enumerate([("dans", "complex"), ("uniform", "rotate")])
    ]
    folder.write_about(runs[0], "Straße", "")
    entries = listing.look().entries
    for chosen in (Filter(), Filter(samplers=("dans",)), Filter(text="strasse"), Filter(text="r-1 nations")):
        passed = [entry.id for entry in entries if chosen.lets_pass(entry)]
        expected = [
            entry.id
            for entry in entries
            if (not chosen.samplers or entry.run.config.sampler in chosen.samplers)
            and all(
                word in f"{entry.id} {entry.about.name} Nations".casefold() for word in chosen.text.split()
            )
        ]
        assert passed == expected


# --- what is done with runs


def test_a_name_stands_in_every_list_of_runs(root):
    make(root, "a")
    app = select(screen(), "a")
    (name,) = (box for box in app.text_input if box.label == "Name")
    name.set_value(f"  {HOSTILE}\x1b ")
    app.text_area[0].set_value("line\nline")
    press(app, "Save")
    about = folder.read_about(open_run("a"))
    assert (about.name, about.note) == (HOSTILE, "line\nline")
    assert app.dataframe[0].value["name"].tolist() == [HOSTILE]
    assert app.header[0].value == markdown_text(HOSTILE)
    assert shell.describe(open_run("a")).startswith(f"{HOSTILE} · Nations · ")

    def picker() -> None:
        import streamlit as st

        from dans_app.shared import shell

        shell.pick_run(st.empty(), None)

    (listed,) = calm(AppTest.from_function(picker).run()).selectbox[0].options
    assert listed == shell.describe(open_run("a"))


def test_a_damaged_about_is_told_and_mended_by_saving(root):
    run = make(root, "a")
    (run.path / folder.ABOUT).write_text("{")
    app = select(screen(), "a")
    assert "about\\.json" in app.warning[0].value
    app.text_input[1].set_value("mended")
    press(app, "Save")
    assert not app.warning and folder.read_about(run).name == "mended"


def test_a_recorded_run_is_read_only(root, tmp_path):
    make(tmp_path / "recorded", "shipped")
    app = select(screen(), "shipped")
    assert "Save" not in labels(app) and "not renamed or deleted" in "\n".join(c.value for c in app.caption)
    delete = next(button for button in app.button if button.label == "Delete")
    assert delete.disabled and "cannot be deleted" in delete.help
    assert shown(app) == ["shipped"]


def test_delete_and_undo(root):
    for name in ("a", "b", "c"):
        make(root, name)
    app = screen()
    app.session_state[shell.PICKED] = "a"
    select(app, "a", "b")
    assert "**2 runs selected:** a, b" in markdown(app)
    press(app, "Delete")
    assert shown(app) == ["c"] and "Deleted 2 runs, " in markdown(app) and "just now" in markdown(app)
    assert shell.PICKED not in app.session_state and app.session_state["runs_selected"] == []
    again = screen()
    assert "Deleted 2 runs, " in markdown(again), "it survives a reload"
    press(again, "Undo")
    assert shown(again) == ["c", "b", "a"] and "Deleted" not in markdown(again)
    assert shown(calm(app.run())) == ["c", "b", "a"], "another window follows"


def test_a_live_run_is_not_deleted_and_nothing_else_with_it(root):
    make(root, "done")
    run = make(root, "live", "stopped")
    with RunWriter.reopen(run.path) as writer:
        writer.write_status("running", epoch=1)
        app = select(screen(), "done", "live")
        press(app, "Delete")
        assert "is being trained and cannot be deleted; stop it first" in app.error[0].value.replace("\\", "")
        assert sorted(shown(app)) == ["done", "live"]
        select(app, "live")
        assert "Stop" in labels(app) and "Continue" not in labels(app)
        press(app, "Stop")
        assert writer.control().stop
    assert not calm(app.run()).error, "it is said once"


def test_undo_with_the_id_taken_is_one_sentence_and_loses_nothing(root):
    make(root, "a", seed=1)
    app = select(screen(), "a")
    press(app, "Delete")
    make(root, "a", seed=2)
    press(app, "Undo")
    assert "there is another a in" in app.error[0].value.replace("\\", "").lower()
    assert open_run("a").config.seed == 2 and len(trash.trashed()) == 1


def test_the_trash_is_opened_restored_from_and_emptied(root):
    for name in ("a", "b"):
        make(root, name)
        trash.delete([name])
    app = screen()
    assert len(app.dataframe) == 0, "a closed trash is not looked into"
    app.session_state["runs_disk"] = True
    calm(app.run())
    table = app.dataframe[-1]
    assert table.value["Id"].tolist() == ["b", "a"]
    assert "**Trash:** 2 runs, " in markdown(app) and "for good? This cannot be undone" in markdown(app)
    (restore,) = (button for button in app.button if button.label == "Restore")
    assert restore.disabled
    press(app, "Undo")
    assert shown(app) == ["b"]
    press(app, "Remove for good")
    assert trash.trashed() == [] and "**Trash:** empty" in markdown(app)
    pictures = root / trash.CACHE / "projections"
    pictures.mkdir(parents=True)
    (pictures / "x").write_bytes(b"x" * 5000)
    assert "**Cache:** 5 kB" in markdown(calm(app.run()))
    press(app, "Clear the cache")
    assert trash.cached() == [] and "**Cache:** empty" in markdown(app)


def test_only_what_can_go_on_is_continued(root, monkeypatch):
    make(root, "done")
    make(root, "halted", "stopped")
    app = select(screen(), "done")
    assert "Continue" not in labels(app)
    select(app, "halted")
    monkeypatch.setattr(jobs, "CORES", 0)
    press(app, "Continue")
    assert "this machine has 0 cores" in app.error[0].value
    assert open_run("halted").stored_status.state == "stopped"


@pytest.mark.parametrize(
    "config",
    [
        *(parse(values) for values in PRESETS.values()),
        Config(
            decoder="rotate",
            sampler="uniform",
            epochs=777,
            seed=3,
            lr=2e-5,
            sigma_relative=True,
            score_message_edges=False,
            loss="softmax",
        ),
    ],
)
def test_repeat_with_changes_fills_the_form(config):
    """By the address alone, as after a reload, the Train page has the settings of the run."""
    query = settings.use_run(config, "nations")
    app = small_run.screen("train.py", **query)
    assert not app.warning
    shown = {name for name in Config.model_fields if settings.key(name) in app.session_state}
    assert {"sampler", "decoder", "lr", "negatives"} <= shown, "what the sampler does not use may be hidden"
    filled = {name: app.session_state[settings.key(name)] for name in shown}
    assert Config(**filled) == config and app.session_state[settings.DATASET] == "nations"


def test_a_run_on_a_file_of_its_own_cannot_fill_the_form(root, tmp_path):
    make(root, "a", dataset=str(tmp_path))
    app = select(screen(), "a")
    (repeat,) = (button for button in app.button if button.label == "Repeat with changes")
    assert repeat.disabled and "by name" in repeat.help
    assert f"--dataset {tmp_path}" in app.code[0].value


# --- sizes and words


def test_a_slow_disk_holds_up_no_one(tmp_path):
    gate = threading.Event()

    class Slow:
        def of(self, folder: str, growing: bool = False) -> int:
            gate.wait()
            return 5

    sizes = FolderSizes()
    sizes._use = Slow()
    start = datetime.now()
    assert sizes.of({"a": False, "b": True}, patience=0.01) == [None, None]
    assert sizes.of({"a": False, "b": True}, patience=0.01) == [None, None]
    assert datetime.now() - start < timedelta(seconds=2)
    gate.set()
    assert sizes.of({"a": False, "b": True}, patience=60) == [5, 5]


def test_words():
    now = datetime.now(UTC)
    assert words.ago(now) == "just now" and words.ago(now - timedelta(minutes=5)) == "about 5 minutes ago"
    when = datetime(2026, 11, 2, 17, 5, tzinfo=UTC)
    assert words.exactly(when, ZoneInfo("Asia/Tokyo")) == "3 Nov 2026, 02:05"
    assert words.exactly(when, words.zone_of(None)).startswith("2 Nov 2026, 17:05")
    for name in ("../../etc/passwd", "\0", "Nowhere/None", "x" * 5000):
        assert words.exactly(when, words.zone_of(name)) == "2 Nov 2026, 17:05 UTC"
