"""The list of runs, names and notes, sizes on disk, the trash: on real directories, with real locks and links."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dans_core.config import Config
from dans_data.errors import InputError
from dans_data.words import visible_text
from dans_lab.cli import main
from dans_lab.runs import folder as shelf
from dans_lab.runs import trash
from dans_lab.runs.folder import ABOUT, DiskUse, NameAndNote, Shelf, read_about, write_about
from dans_lab.runs.run import Run, open_run, scan_runs
from dans_lab.runs.writer import RunWriter
from tests.examples import examples

HOLD = """
import sys, filelock
with filelock.FileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch) -> Path:
    """A runs folder of its own, and none of the recorded runs."""
    folder = tmp_path / "runs"
    folder.mkdir()
    monkeypatch.setenv("DANS_RUNS_DIR", str(folder))
    monkeypatch.setattr("dans_lab.runs.run.RECORDED", tmp_path / "recorded")
    return folder


def make(folder: Path, run_id: str, state: str = "finished", **progress) -> Run:
    with RunWriter.create(folder, run_id, Config(epochs=10), "nations", "0" * 64, "nations") as writer:
        (writer.path / "snapshots" / "000000.npz").write_bytes(b"x" * 1000)
        writer.write_status(state, **progress)
        return writer.run


@contextmanager
def held(run: Run):
    """Another process holds the lock of the run, as its trainer does."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.path / "run.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.communicate("")


def files(folder: Path) -> dict[str, bytes]:
    """All files below a folder and what they hold."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def ids(folder: Path) -> set[str]:
    return {run.id for run in scan_runs(folder).runs}


# --- names and notes


@examples(40)
@given(st.text(max_size=400), st.text(max_size=400))
def test_names_and_notes_come_back_as_they_were_kept(tmp_path_factory, name, note):
    run = Run(tmp_path_factory.mktemp("run"))
    name, note = visible_text(name)[: shelf.NAME_LENGTH], visible_text(note, lines=True)
    about = write_about(run, name, note)
    assert read_about(run) == about
    assert about == NameAndNote(name=visible_text(name), note=note)
    for text in (about.name, about.note):
        assert visible_text(text, lines=True) == text, "cleaning what is clean changes nothing"
        assert all(c.isprintable() or c in "\n\u200c\u200d" for c in text)
    assert "\n" not in about.name


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("  baseline \t A\n", "baseline A"),
        ("a\x00b\x1b[31mred", "ab[31mred"),
        ("abc\u202egnp.exe", "abcgnp.exe"),
        ("\u200b\u2060", ""),
        ("\u200d", ""),
        ("bad \ud800 half", "bad half"),
        ("👩\u200d🔬 می\u200cخواهم", "👩\u200d🔬 می\u200cخواهم"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
    ],
)
def test_a_name_holds_only_what_can_be_seen(root, text, kept):
    run = make(root, "a")
    assert write_about(run, text, "").name == kept
    assert read_about(run).name == kept


def test_what_is_too_long_or_recorded_is_refused_and_changes_nothing(root, tmp_path, monkeypatch):
    run = make(root, "a")
    write_about(run, "first", "note")
    for name, note in (("x" * 81, ""), ("", "x" * 2001)):
        with pytest.raises(InputError, match=r"at most (80|2,000) characters; this one has (81|2,001)"):
            write_about(run, name, note)
    assert read_about(run) == NameAndNote(name="first", note="note")
    monkeypatch.setattr("dans_lab.runs.run.RECORDED", root)
    with pytest.raises(InputError, match="is recorded"):
        write_about(run, "mine", "")
    assert read_about(run).name == "first"


def test_a_damaged_about_is_told_and_hides_no_run(root, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text('{"name": "secret", "note": ""}')
    run = make(root, "a")
    path = run.path / ABOUT

    def pipe() -> None:
        os.mkfifo(path)

    for damage in (
        lambda: path.write_text("{"),
        lambda: path.write_text('{"name": 3}'),
        lambda: path.write_text(json.dumps({"name": "x" * 200})),
        lambda: path.write_bytes(b" " * 200_000),
        lambda: path.symlink_to(secret),
        path.mkdir,
        pipe,
    ):
        damage()
        with pytest.raises(InputError, match=re.escape(str(path))):
            read_about(run)
        (entry,) = Shelf(root).look().entries
        assert entry.about == NameAndNote()
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    path.write_text('{"name": "a\\u202eb", "later": true}')
    assert read_about(run) == NameAndNote(name="ab"), (
        "cleaned when read, fields of later versions passed over"
    )


def test_a_name_can_be_given_while_the_run_trains(root):
    run = make(root, "a", "stopped")
    with RunWriter.reopen(run.path) as writer:
        write_about(run, "while it trains", "")
        writer.write_status("running", epoch=1)
        assert run.is_live
    assert read_about(run).name == "while it trains"


# --- the list


def same_as_a_fresh_look(kept: Shelf, root: Path) -> None:
    """What is kept between looks is what a first look and `scan_runs` find."""
    look, fresh, scanned = kept.look(), Shelf(root).look(), scan_runs(root)
    shown = [(each.id, each.status, each.about, each.run.config) for each in look.entries]
    assert shown == [(each.id, each.status, each.about, each.run.config) for each in fresh.entries]
    assert [each.id for each in look.entries] == [run.id for run in scanned.runs]
    assert [each.status for each in look.entries] == [run.status for run in scanned.runs]
    assert look.unreadable == fresh.unreadable
    assert look.unreadable.keys() == scanned.unreadable.keys()


def test_looking_again_sees_every_change(root, tmp_path):
    kept = Shelf(root)
    same_as_a_fresh_look(kept, root)
    run = make(root, "a", "stopped")
    make(root, "b")
    same_as_a_fresh_look(kept, root)
    with RunWriter.reopen(run.path) as writer:
        writer.write_status("running", epoch=3)
        same_as_a_fresh_look(kept, root)
        assert kept.look().entries[1].status.live
    same_as_a_fresh_look(kept, root)
    assert kept.look().entries[1].status.state == "interrupted"
    write_about(run, "named", "")
    same_as_a_fresh_look(kept, root)
    assert kept.look().entries[1].about.name == "named"
    (root / "Not A Run").mkdir()
    (root / "empty").mkdir()
    (root / "link").symlink_to(make(tmp_path, "elsewhere").path)
    (root / "b" / "config.json").write_text("{")
    same_as_a_fresh_look(kept, root)
    assert kept.look().unreadable.keys() == {"Not A Run", "empty", "link", "b"}
    assert "leads out of" in kept.look().unreadable["link"]
    trash.delete(["a"])
    same_as_a_fresh_look(kept, root)
    make(root, "a")
    same_as_a_fresh_look(kept, root)


def test_recorded_runs_are_listed_after_the_folder_s_own(root, tmp_path):
    make(root, "twice")
    for name in ("shipped", "twice"):
        # Where it is made, no recorded run is in the way.
        make(tmp_path / "making", name)
    (tmp_path / "making").rename(tmp_path / "recorded")
    found = {entry.id: entry.recorded for entry in Shelf(root).look().entries}
    assert found == {"shipped": True, "twice": False}


def test_a_look_reads_no_run_that_did_not_change(root, monkeypatch):
    make(root, "r-0")
    for number in range(1, 200):
        copy = root / f"r-{number}"
        copy.mkdir()
        for name in ("config.json", "status.json"):
            (copy / name).write_bytes((root / "r-0" / name).read_bytes())
    kept, read, about = Shelf(root), [], shelf.about_or_nothing
    monkeypatch.setattr(shelf, "about_or_nothing", lambda run: (read.append(run.id), about(run))[1])
    assert len(kept.look().entries) == len(read) == 200
    read.clear()
    assert len(kept.look().entries) == 200 and not read
    write_about(Run(root / "r-7"), "a name", "")
    kept.look()
    assert read == ["r-7"]


# --- disk


def slow_size(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_symlink() or not file.is_dir())


def test_sizes_are_those_of_a_slow_count_after_every_change(root, tmp_path):
    run = make(root, "a", "stopped")
    disk = DiskUse()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "large").write_bytes(b"x" * 10**6)

    def check(growing: bool = False) -> None:
        assert disk.of(run.path, growing) == slow_size(run.path)

    check()
    (run.path / "snapshots" / "000001.npz").write_bytes(b"x" * 500)
    check()
    (run.path / "link").symlink_to(outside)
    (run.path / "file").symlink_to(outside / "large")
    check()
    assert disk.of(run.path) < 10**5
    deep = run.path / "x" / "y"
    deep.mkdir(parents=True)
    (deep / "z").write_bytes(b"x" * 70)
    check()
    (deep / "z").unlink()
    check()
    old = time.time() - 100
    for folder in (run.path, run.path / "snapshots", deep, deep.parent):
        os.utime(folder, (old, old))
    check()
    with (run.path / "events.jsonl").open("ab") as events:
        events.write(b"\n" * 100)
    check(growing=True)
    assert disk.of(root / "none") == 0


def test_a_second_count_of_many_snapshots_does_not_look_at_them(root, monkeypatch):
    run = make(root, "a")
    for number in range(1, 1000):
        (run.path / "snapshots" / f"{number:06d}.npz").write_bytes(b"x")
    old = time.time() - 100
    for folder in (run.path, run.path / "snapshots"):
        os.utime(folder, (old, old))
    disk = DiskUse()
    first = disk.of(run.path)
    assert first == slow_size(run.path)
    counted = []
    monkeypatch.setattr(shelf, "_count", counted.append)
    assert disk.of(run.path) == first and not counted


# --- the trash


def test_deleting_and_restoring_gives_back_every_byte(root):
    runs = [make(root, name, "stopped", epoch=3) for name in ("a", "b", "c")]
    write_about(runs[0], "the first", "and its note")
    before = {run.id: files(run.path) for run in runs}
    deleted = trash.delete(["a", "b", "a"])
    assert ids(root) == {"c"}
    assert {each.run_id for each in deleted} == {"a", "b"} and len({each.deleted for each in deleted}) == 1
    assert trash.trashed() == sorted(deleted, key=lambda each: each.key, reverse=True)
    assert abs(datetime.now(UTC) - deleted[0].deleted) < timedelta(seconds=20)
    assert {each.about.name for each in trash.trashed()} == {"the first", ""}
    for each in deleted:
        trash.restore(each.key)
    assert trash.trashed() == [] and ids(root) == {"a", "b", "c"}
    assert {run.id: files(run.path) for run in runs} == before
    with RunWriter.reopen(runs[0].path) as writer:
        assert writer.run.is_live, "a restored run can go on"


def test_a_live_run_is_not_deleted_nor_those_with_it(root):
    done, run = make(root, "done"), make(root, "going")
    with (
        held(run),
        pytest.raises(InputError, match="run going is being trained and cannot be deleted; stop it"),
    ):
        # Its status says "finished": the lock is what counts.
        trash.delete([done.id, run.id])
    assert ids(root) == {"done", "going"} and trash.trashed() == []
    trash.delete([done.id, run.id])
    assert ids(root) == set()


def test_a_run_about_to_start_is_not_deleted(root):
    run = make(root, "soon", "queued")
    with pytest.raises(InputError, match="about to start"):
        trash.delete([run.id])
    stored = json.loads((run.path / "status.json").read_text())
    (run.path / "status.json").write_text(json.dumps(stored | {"updated": time.time() - 60}))
    trash.delete([run.id])
    assert ids(root) == set()


def test_recorded_and_unknown_runs_are_not_deleted(root, tmp_path):
    shipped, mine = make(tmp_path / "recorded", "shipped"), make(root, "mine")
    for names, words in (
        (["mine", "shipped"], "recorded"),
        (["mine", "none"], "there is no run 'none'"),
        (["mine", "../recorded/shipped"], "there is no run|not a run id"),
        (["mine", ".trash"], "there is no run|not a run id"),
        (["mine", ""], "there is no run|not a run id"),
        (["mine", "/etc"], "there is no run|not a run id"),
    ):
        with pytest.raises(InputError, match=words):
            trash.delete(names)
    assert shipped.path.is_dir() and mine.path.is_dir() and trash.trashed() == []


def test_links_lead_nowhere(root, tmp_path):
    """A run, the trash or the cache that is a link to elsewhere: nothing there is moved or removed."""
    elsewhere = tmp_path / "elsewhere"
    key = "20260101T000000000000-precious"
    precious = make(elsewhere, "precious")
    (elsewhere / "folder").mkdir()
    (root / "precious").symlink_to(precious.path)
    with pytest.raises(InputError, match="leads out of"):
        trash.delete(["precious"])
    (root / "precious").unlink()
    precious.path.rename(elsewhere / key)
    before = files(elsewhere)
    mine = make(root, "mine")
    for name in (trash.TRASH, trash.CACHE):
        (root / name).symlink_to(elsewhere)
    with pytest.raises(InputError, match="cannot be moved to the trash"):
        trash.delete(["mine"])
    with pytest.raises(InputError, match="cannot be taken out of the trash"):
        trash.restore(key)
    trash.remove_for_good([key])
    trash.clear_cache()
    assert trash.trashed() == [] and trash.cached() == []
    (root / trash.TRASH).unlink()
    (mine.path / "run.lock").unlink()
    (mine.path / "run.lock").symlink_to(elsewhere / key / "config.json")
    with pytest.raises(InputError, match="run mine cannot be deleted"):
        trash.delete(["mine"])
    assert files(elsewhere) == before and ids(root) == {"mine"}


def test_a_link_inside_a_run_or_the_trash_is_removed_and_not_followed(root, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    run = make(root, "a")
    (run.path / "link").symlink_to(outside)
    (each,) = trash.delete(["a"])
    (root / trash.TRASH / "20260101T000000000000-link").symlink_to(outside)
    assert trash.trashed() == [each]
    with pytest.raises(InputError, match="no longer in the trash"):
        trash.restore("20260101T000000000000-link")
    trash.remove_for_good([each.key, "20260101T000000000000-link"])
    assert trash.trashed() == [] and (outside / "kept").read_text() == "kept"


@pytest.mark.parametrize(
    "key", ["", "..", "../a", "20260101T000000000000-../../x", ".trash", "x" * 300, "a/b", "\0"]
)
def test_a_hostile_key_is_refused(root, key):
    make(root, "a")
    trash.delete(["a"])
    with pytest.raises(InputError, match="nothing that the trash can hold"):
        trash.restore(key)
    trash.remove_for_good([key])
    assert len(trash.trashed()) == 1


def test_an_id_taken_meanwhile_is_told_and_nothing_is_lost(root):
    old = files(make(root, "a", "stopped").path)
    (each,) = trash.delete(["a"])
    new = files(make(root, "a").path)
    with pytest.raises(InputError, match=r"there is another a in .* the one in the trash stays"):
        trash.restore(each.key)
    assert files(root / "a") == new and files(each.path) == old
    trash.delete(["a"])
    assert len(trash.trashed()) == 2, "two runs of one id lie side by side"
    trash.restore(each.key)
    assert files(root / "a") == old


def test_only_what_was_shown_is_removed_for_good(root):
    for name in ("a", "b"):
        make(root, name)
    (shown,) = trash.delete(["a"])
    (later,) = trash.delete(["b"])
    (root / trash.TRASH / "a person's own").mkdir()
    (root / trash.TRASH / ".doomed-of-a-killed-server").mkdir()
    trash.remove_for_good([shown.key, "20990101T000000000000-none"])
    assert trash.trashed() == [later]
    assert {path.name for path in (root / trash.TRASH).iterdir()} == {later.key, "a person's own"}
    with pytest.raises(InputError, match="no longer in the trash"):
        trash.restore(shown.key)


def test_no_trash_and_no_cache_are_empty(root):
    assert trash.trashed() == [] and trash.cached() == []
    trash.remove_for_good(["20260101T000000000000-a"])
    trash.clear_cache()
    assert list(root.iterdir()) == []


def test_the_cache_goes_and_the_words_of_workers_stay(root):
    folder = root / trash.CACHE / "projections" / "a-1234"
    folder.mkdir(parents=True)
    (folder / "picture.npz").write_bytes(b"x")
    (root / trash.CACHE / "workers.log").write_text("words")
    assert [path.name for path in trash.cached()] == ["projections"]
    trash.clear_cache()
    assert trash.cached() == [] and files(root) == {".cache/workers.log": b"words"}


def test_cache_and_trash_stay_within_their_bounds(root):
    folder = root / trash.CACHE / trash.PICTURES
    for age, name in enumerate(("new", "old", "oldest")):
        (folder / name).mkdir(parents=True)
        (folder / name / "picture.npz").write_bytes(b"x" * 1000)
        os.utime(folder / name, (0, 1_000_000 - age))
    for name in ("a", "b", "c"):
        make(root, name, "stopped")
        trash.delete([name])
    long_ago = {}
    for number, each in enumerate(trash.trashed()[1:]):
        key = f"2020010{3 - number}T000000000000-{each.run_id}"
        each.path.rename(each.path.with_name(key))
        long_ago[each.run_id] = key
    trash.tidy()
    assert len(trash.trashed()) == 3 and len(list(folder.iterdir())) == 3
    size = DiskUse().of(root / trash.TRASH / long_ago["b"])
    trash.tidy(cache_most=2_500, trash_most=2 * size + 200)
    assert {path.name for path in folder.iterdir()} == {"new", "old"}
    assert [each.run_id for each in trash.trashed()] == ["c", "b"]
    trash.tidy(cache_most=0, trash_most=0)
    assert list(folder.iterdir()) == []
    assert [each.run_id for each in trash.trashed()] == ["c"], "what was deleted today stays"


def test_many_at_once_lose_nothing(root):
    """Eight threads delete and restore the same runs: each run ends in exactly one place, whole."""
    runs = [make(root, f"r-{number}", "stopped") for number in range(4)]
    whole = {run.id: files(run.path) for run in runs}
    problems: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for turn in range(25):
                with suppress(InputError):
                    trash.delete([f"r-{(seed + turn) % 4}"])
                for each in trash.trashed()[seed % 2 :: 2]:
                    with suppress(InputError):
                        trash.restore(each.key)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    for each in trash.trashed():
        trash.restore(each.key)
    assert {run.id: files(open_run(run.id).path) for run in runs} == whole


# --- in a terminal


def test_the_command_lists_the_same(root, tmp_path, capsys):
    make(tmp_path / "recorded", "shipped")
    run = make(root, "a", "stopped", epoch=4, best_mrr=0.25)
    write_about(run, "[red]mine[/red]", "note")
    (root / "bad \x1b[31mname").mkdir()
    assert main(["runs", "--json"]) == 0
    first, second, bad = json.loads(capsys.readouterr().out)
    assert (first["id"], first["recorded"]) == ("a", False) and second["recorded"]
    assert (
        first["name"] == "[red]mine[/red]"
        and first["best_mrr"] == 0.25
        and first["bytes"] == slow_size(run.path)
    )
    assert bad["id"] == "bad [31mname" and "not a run id" in bad["problem"]
    assert main(["runs"]) == 0
    out = capsys.readouterr().out
    assert f"1 run in {root}" in out and "\x1b" not in out
    settings = r"nations +complex +dans +0 +[^│]*epochs 10[^│]*? +4 of 10 +0\.250"
    assert re.search(rf"\[red\]mine\[/red\] \(a\) +stopped +{settings}", out)
    assert re.search(r"shipped +recorded", out) and "bad [31mname: cannot be read" in out
