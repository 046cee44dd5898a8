"""The run directory: written by one, read by any number, never half, never out of its folder."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from dans_core.config import Config, parse
from dans_core.events import Diagnostics, Finished, Losses, Ranking, Snapshot
from dans_core.kg import KnowledgeGraph
from dans_data.errors import InputError
from dans_lab.health import HealthWarning
from dans_lab.names import SAMPLERS
from dans_lab.presets import PRESETS
from dans_lab.runs import run as runs
from dans_lab.runs.run import Run, find_twin, list_runs, open_run, run_id_error, scan_runs, twin_config
from dans_lab.runs.writer import RunWriter
from tests.sound_pathway import SOUND

CONFIG = Config(epochs=20, dim=8)
HOLD = """
import sys, time
from dans_lab.runs.writer import RunWriter
writer = RunWriter.reopen(sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


def losses(epoch: int) -> Losses:
    return Losses(epoch, base=0.5, warm_up=True, seconds=0.1)


def create(root: Path, run_id: str = "a-run", config: Config = CONFIG, kg_hash: str = "h") -> RunWriter:
    return RunWriter.create(root, run_id, config, "umls", kg_hash, "umls")


@pytest.fixture(autouse=True)
def runs_folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv(runs.RUNS_DIR_VARIABLE, str(tmp_path / "runs"))
    return tmp_path / "runs"


def age_status(path: Path, **changes: object) -> None:
    """As if the status had been written long ago."""
    status = json.loads((path / "status.json").read_text())
    (path / "status.json").write_text(json.dumps(status | {"updated": time.time() - 3600} | changes))


def test_what_is_written_is_read(runs_folder):
    events = [
        losses(1),
        Ranking(1, "valid", 0.1, 0.2, 0.3, 0.4, 0.5, best=True),
        Diagnostics(1, 1.0, 2.0, 0.3, 0.4, g_e=SOUND, g_r=None),
        HealthWarning(1, "copies", "G_E", "Fakes are “copies”.", "Raise σ.", active=False),
        Snapshot(1, "000001.npz"),
        Finished(1, 1, 0.1, 2.0),
    ]
    with create(runs_folder) as writer:
        writer.append(*events)
        writer.write_status("running", epoch=3, values={"base": 0.5}, eta_seconds=4.0)
        run = open_run("a-run")
        assert run.events() == events
        assert run.config.model_dump() == CONFIG.model_dump()
        assert (run.meta.dataset, run.meta.source, run.meta.hash, run.meta.seed) == ("umls", "umls", "h", 0)
        assert run.meta.versions.keys() >= {"python", "torch"}
        status = run.status
        assert (status.state, status.epoch, status.epochs, status.live) == ("running", 3, 20, True)
        assert status.values == {"base": 0.5}
    assert [run.id for run in list_runs()] == ["a-run"]


def test_reading_imports_neither_torch_nor_streamlit():
    code = "import sys, dans_lab.runs.run; print({'torch', 'streamlit'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "run_id",
    ["", "-a", "--help", "..", ".", "/etc", "a/b", "A-Run", "a" * 65, "a\n", "ä", "a\0", "a b", "..-/x"],
)
def test_hostile_ids_are_refused(run_id, runs_folder):
    assert run_id_error(run_id)
    with pytest.raises(InputError):
        open_run(run_id)
    with pytest.raises(InputError):
        open_run(run_id, paths=True)
    with pytest.raises(InputError):
        create(runs_folder, run_id)
    assert not runs_folder.exists()


def test_a_link_out_of_the_folder_is_refused(tmp_path, runs_folder):
    create(tmp_path / "elsewhere", "secret").close()
    runs_folder.mkdir()
    (runs_folder / "link").symlink_to(tmp_path / "elsewhere" / "secret")
    with pytest.raises(InputError, match="leads out"):
        open_run("link")
    listing = scan_runs()
    assert not listing.runs
    assert "leads out" in listing.unreadable["link"]
    with pytest.raises(InputError, match="exists"):
        create(runs_folder, "link")


def test_a_path_opens_only_where_paths_are_welcome(tmp_path):
    create(tmp_path / "elsewhere", "mine").close()
    path = tmp_path / "elsewhere" / "mine"
    assert open_run(path).id == "mine"
    assert open_run(str(path), paths=True).id == "mine"
    with pytest.raises(InputError):
        open_run(str(path))
    with pytest.raises(InputError, match="it has no config"):
        open_run(tmp_path)


def test_new_ids_are_ids():
    for name in ("umls", "NELL-995", "Überdaten…", "", "x" * 200, "../../etc"):
        run_id = runs.new_id(CONFIG.with_values(seed=2**31 - 1), name)
        assert run_id_error(run_id) is None
    assert re.fullmatch(r"umls-complex-dans-s0-[0-9a-f]{4}", runs.new_id(CONFIG, "umls"))


def test_an_existing_run_is_not_touched(runs_folder):
    create(runs_folder).close()
    before = {file.name: file.stat().st_mtime_ns for file in (runs_folder / "a-run").iterdir()}
    with pytest.raises(InputError, match="exists already"):
        create(runs_folder)
    assert before == {file.name: file.stat().st_mtime_ns for file in (runs_folder / "a-run").iterdir()}


def test_runs_need_a_folder(runs_folder):
    runs_folder.write_text("")
    with pytest.raises(InputError, match="not a folder"):
        create(runs_folder)


def test_a_path_to_data_outlives_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("umls", "mine"):
        (tmp_path / name).mkdir()
    assert runs.source_that_lasts("umls") == "umls"
    assert runs.source_that_lasts("./umls") == str(tmp_path / "umls")
    assert runs.source_that_lasts(Path("umls")) == str(tmp_path / "umls")
    assert runs.source_that_lasts("mine") == str(tmp_path / "mine")


def test_one_writer_at_a_time(runs_folder):
    create(runs_folder).close()
    path = runs_folder / "a-run"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline().strip() == "held"
        age_status(path, state="running")
        assert Run(path).is_live
        assert Run(path).status.state == "running"
        with pytest.raises(InputError, match="another process"):
            RunWriter.reopen(path)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert Run(path).status.state == "interrupted"
    assert not Run(path).is_live
    RunWriter.reopen(path).close()


@pytest.mark.parametrize(
    ("state", "seen"),
    [("queued", "interrupted"), ("running", "interrupted"), ("paused", "paused")]
    + [(state, state) for state in runs.FINAL],
)
def test_what_a_run_without_a_writer_is(state, seen, runs_folder):
    create(runs_folder).close()
    assert Run(runs_folder / "a-run").status.state == "queued"
    age_status(runs_folder / "a-run", state=state)
    status = Run(runs_folder / "a-run").status
    assert (status.state, status.live) == (seen, False)


def test_a_reader_that_looks_does_not_keep_a_writer_out(runs_folder):
    create(runs_folder).close()
    run = Run(runs_folder / "a-run")
    age_status(run.path, state="running")
    done = threading.Event()
    seen = []

    def look() -> None:
        while not done.is_set():
            seen.append(run.status.state)

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(20):
            RunWriter.reopen(run.path).close()
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert seen


@pytest.mark.parametrize("name", ["snapshots", "log.txt"])
def test_a_link_out_of_a_run_is_never_written_through(name, runs_folder, tmp_path):
    with create(runs_folder) as writer:
        writer.write_status("stopped")
    outside = tmp_path / "outside"
    path = runs_folder / "a-run" / name
    if name == "snapshots":
        path.rmdir()
        outside.mkdir()
        (outside / "000007.npz").write_bytes(b"theirs")
        (outside / ".x.tmp").write_bytes(b"theirs")
    else:
        outside.write_bytes(b"theirs")
    path.symlink_to(outside)
    for taking in (RunWriter.reopen, RunWriter.requeue):
        with pytest.raises(InputError, match=f"{name} is a link to elsewhere"):
            taking(path.parent)
    found = [outside / "000007.npz", outside / ".x.tmp"] if name == "snapshots" else [outside]
    assert [file.read_bytes() for file in found] == [b"theirs"] * len(found)


def test_a_link_that_comes_while_it_trains_is_not_followed(runs_folder, tmp_path):
    with create(runs_folder) as writer:
        (writer.path / "snapshots").rmdir()
        (writer.path / "snapshots").symlink_to(tmp_path)
        (writer.path / "log.txt").symlink_to(tmp_path / "log")
        with pytest.raises(InputError, match="snapshots is a link"):
            writer.snapshot("000001.npz", {"a": np.zeros(3)})
        writer.log("mine")
    assert not (tmp_path / "log").exists() and not (tmp_path / "000001.npz").exists()


def test_a_run_of_a_later_format_is_refused_and_one_without_is_read(runs_folder):
    create(runs_folder).close()
    path = runs_folder / "a-run" / "config.json"
    stored = json.loads(path.read_text())
    assert stored["format"] == 1
    for later in ({"format": 2}, {"format": 7, "config": "elsewhere", "created": 3}):
        path.write_text(json.dumps(stored | later))
        with pytest.raises(
            InputError, match=r"has format \d, from a later version .* bring the program up to date"
        ):
            open_run("a-run")
        assert list_runs() == []
    for damaged in ("1", -1, None, 10**400):
        path.write_text(json.dumps(stored | {"format": damaged}))
        assert list_runs() == [], damaged
    del stored["format"]
    path.write_text(json.dumps(stored))
    assert open_run("a-run").meta.dataset == "umls"


def test_who_looks_at_a_run_downloads_nothing(runs_folder, monkeypatch):
    monkeypatch.delenv("DANS_DATA_DIR", raising=False)
    with (
        RunWriter.create(runs_folder, "a-run", CONFIG, "wn18rr", "h", "wn18rr") as writer,
        pytest.raises(InputError, match=r"wn18rr of run a-run is not on this machine; .* --download wn18rr"),
    ):
        writer.run.load_kg()


def test_readers_leave_no_trace(runs_folder):
    with create(runs_folder) as writer:
        writer.append(losses(1))
    path = runs_folder / "a-run"
    age_status(path, state="running")
    (path / "run.lock").unlink()
    files = {file: file.stat().st_mtime_ns for file in (runs_folder, path, *path.rglob("*"))}
    for folder in (path / "snapshots", path, runs_folder):
        folder.chmod(0o555)
    try:
        [run] = list_runs()
        assert run.status.state == "interrupted"
        assert run.events() and not run.snapshots()
    finally:
        for folder in (path / "snapshots", path, runs_folder):
            folder.chmod(0o755)
    assert files == {file: file.stat().st_mtime_ns for file in (runs_folder, path, *path.rglob("*"))}


def test_broken_folders_do_not_hide_the_others(runs_folder):
    for name in ("good", "no-status", "bad-status", "bad-config", "old-setting", "nan", "late"):
        create(runs_folder, name).close()
    (runs_folder / "no-status" / "status.json").unlink()
    (runs_folder / "bad-status" / "status.json").write_text("{" * 10_000)
    (runs_folder / "bad-config" / "config.json").write_bytes(b"\xff\xfe")
    stored = json.loads((runs_folder / "old-setting" / "config.json").read_text())
    stored["config"]["epocs"] = 3
    (runs_folder / "old-setting" / "config.json").write_text(json.dumps(stored))
    age_status(runs_folder / "nan", seconds=float("nan"))
    age_status(runs_folder / "late", state="napping")
    (runs_folder / "empty").mkdir()
    (runs_folder / "Not An Id").mkdir()
    (runs_folder / "a-file").write_text("")
    (runs_folder / ".cache").mkdir()
    listing = scan_runs()
    assert [run.id for run in listing.runs] == ["good"]
    assert "epocs" in listing.unreadable["old-setting"]
    assert "seconds" in listing.unreadable["nan"]
    assert "state" in listing.unreadable["late"]
    bad = {"no-status", "bad-status", "bad-config", "old-setting", "nan", "late", "empty", "Not An Id"}
    assert listing.unreadable.keys() == bad
    for name in bad:
        with pytest.raises(InputError):
            open_run(name)


def test_runs_come_newest_first(runs_folder):
    for name in ("b", "c", "a"):
        create(runs_folder, name).close()
    assert [run.id for run in list_runs()] == ["a", "c", "b"]
    assert list_runs(runs_folder / "none") == []


def test_a_twin_differs_in_its_sampler_alone(runs_folder):
    create(runs_folder, "dans").close()
    uniform = CONFIG.with_values(sampler="uniform")
    create(runs_folder, "old-twin", uniform).close()
    create(runs_folder, "twin", uniform).close()
    create(runs_folder, "other-data", uniform, kg_hash="x").close()
    create(runs_folder, "other-seed", uniform.with_values(seed=1)).close()
    twin = find_twin(open_run("dans"), list_runs())
    assert twin is not None and twin.id == "twin"
    assert find_twin(open_run("other-data"), list_runs()) is None
    back = find_twin(open_run("twin"), list_runs())
    assert back is not None and back.id == "dans"


def test_the_twin_of_any_sampler_is_uniform_and_what_uniform_does_not_read_does_not_matter(runs_folder):
    create(runs_folder, "uniform", CONFIG.with_values(sampler="uniform")).close()
    create(runs_folder, "other-loss", CONFIG.with_values(sampler="uniform", loss="bce")).close()
    create(runs_folder, "filtered", CONFIG.with_values(sampler="uniform", filter_known=True)).close()
    odd = {
        "temperature": 3.0,
        "cache_size": 5,
        "candidates": 9,
        "warmup_epochs": 1,
        "lr_g": 0.1,
        "film": "none",
    }
    for sampler in sorted(set(SAMPLERS) - {"uniform"}):
        create(runs_folder, f"{sampler}-run", CONFIG.with_values(sampler=sampler, **odd)).close()
        twin = find_twin(open_run(f"{sampler}-run"), list_runs())
        assert twin is not None and twin.id == "uniform"
    # DANS reads what is odd about this one.
    assert find_twin(open_run("uniform"), list_runs()) is None


def test_the_settings_of_a_twin_keep_what_follows_from_the_sampler():
    alone = twin_config(Config(sampler="one-vs-all", epochs=40))
    assert (alone.sampler, alone.loss, alone.warmup_epochs) == ("uniform", "softmax", 20)
    assert twin_config(Config(sampler="one-vs-all", loss="bce")).loss == "bce"
    stored = parse(Config(sampler="one-vs-all", epochs=40).model_dump())
    assert twin_config(stored).model_dump() == alone.model_dump()
    with pytest.raises(InputError, match="at least 4"):
        twin_config(Config(sampler="uniform", negatives=2, reading="vectors"))


@pytest.mark.parametrize("preset", ["default", "fakes-as-negatives"])
@pytest.mark.parametrize("given", [{}, {"temperature": 0.7, "sigma": 0.3}])
def test_the_twin_of_a_twin_is_the_run_itself(preset, given):
    """Also where the sampler has defaults of its own, which the other sampler does not read."""
    run, other = (parse(Config(sampler=name, **PRESETS[preset]).model_dump()) for name in ("dans", "uniform"))
    assert twin_config(run) == other and twin_config(other) == run
    assert run.temperature == (0.5 if preset == "default" else 1.0) and other.temperature == 1.0
    odd = parse(run.with_values(**given).model_dump())
    assert twin_config(parse(twin_config(odd).model_dump())) == odd


def test_a_twin_need_not_agree_in_what_its_reading_of_fakes_leaves_idle(runs_folder):
    config = CONFIG.with_values(**PRESETS["fakes-as-negatives"])
    create(runs_folder, "uniform", config.with_values(sampler="uniform")).close()
    create(runs_folder, "dans", config.with_values(temperature=0.5, tau=0.3)).close()
    twin = find_twin(open_run("uniform"), list_runs())
    assert twin is not None and twin.id == "dans"
    create(runs_folder, "read", CONFIG.with_values(tau=0.3)).close()
    create(runs_folder, "uniform-read", CONFIG.with_values(sampler="uniform")).close()
    assert find_twin(open_run("uniform-read"), list_runs()) is None


def test_a_follower_reads_whole_lines_only(runs_folder):
    with create(runs_folder) as writer:
        run = writer.run
        first = run.follow()
        assert (first.events, first.restarted) == ([], False)
        writer.append(losses(1))
        with (run.path / "events.jsonl").open("ab") as file:
            file.write(b'{"event": "los')
        batch = run.follow(first.cursor)
        assert (batch.events, batch.restarted) == ([losses(1)], False)
        assert run.follow(batch.cursor).events == []


def test_a_follower_starts_again_after_a_resume(runs_folder):
    writer = create(runs_folder)
    writer.append(losses(1))
    writer.checkpoint({"networks": {}})
    writer.append(losses(2), losses(3))
    writer.close()
    run = writer.run
    cursor = run.follow().cursor
    with RunWriter.reopen(run.path) as writer:
        assert writer.state == {"networks": {}}
        # The file has grown past the cursor again before the follower looks.
        writer.append(*(losses(epoch) for epoch in range(2, 9)))
        batch = run.follow(cursor)
    assert batch.restarted
    assert [event.epoch for event in batch.events] == list(range(1, 9))
    assert not run.follow(batch.cursor).restarted
    (run.path / "events.jsonl").unlink()
    gone = run.follow(batch.cursor)
    assert (gone.events, gone.restarted) == ([], True)


def test_resuming_removes_what_came_after_the_checkpoint(runs_folder):
    arrays = {"entities": np.zeros((3, 2), np.float16)}
    writer = create(runs_folder)
    for epoch in (0, 5):
        writer.snapshot(f"{epoch:06d}.npz", arrays)
        writer.append(Snapshot(epoch, f"{epoch:06d}.npz"))
    writer.checkpoint({"networks": {}})
    writer.snapshot("000010.npz", arrays)
    writer.append(Snapshot(10, "000010.npz"))
    writer.run.request(stop=True)
    writer.write_status("running")
    writer.close()
    path = writer.path
    (path / ".last.pt.1234.tmp").write_bytes(b"half")
    (path / "snapshots" / ".000010.npz.1234.tmp").write_bytes(b"half")
    with RunWriter.reopen(path) as writer:
        assert [epoch for epoch, _ in writer.run.snapshots()] == [0, 5]
        assert [event.epoch for event in writer.run.events()] == [0, 5]
        assert not writer.control().stop
    assert not [*path.rglob("*.tmp")]


def test_without_a_checkpoint_it_starts_from_the_beginning(runs_folder):
    writer = create(runs_folder)
    writer.append(losses(1))
    writer.write_status("running")
    writer.close()
    with RunWriter.reopen(writer.path) as writer:
        assert writer.state is None
        assert writer.run.events() == []


def test_what_cannot_be_resumed_is_refused(runs_folder):
    writer = create(runs_folder)
    writer.append(losses(1))
    writer.checkpoint({"networks": {}})
    writer.close()
    path = writer.path
    events = (path / "events.jsonl").read_bytes()
    (path / "events.jsonl").write_bytes(events[:-3])
    with pytest.raises(InputError, match="ends before"):
        RunWriter.reopen(path)
    assert (path / "events.jsonl").read_bytes() == events[:-3]
    (path / "events.jsonl").write_bytes(events)
    (path / "last.pt").write_bytes(b"rubbish")
    with pytest.raises(InputError, match="not a checkpoint"):
        RunWriter.reopen(path)
    with (path / "last.pt").open("wb") as file:
        pickle.dump(Path, file, protocol=2)
    with pytest.raises(InputError, match="not a checkpoint"):
        RunWriter.reopen(path)
    age_status(path, state="finished")
    with pytest.raises(InputError, match="finished"):
        RunWriter.reopen(path)


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[1]",
        b'{"event": "losses", "epoch": 1}',
        b'{"event": "losses", "epoch": 1, "base": NaN, "warm_up": true, "seconds": 1.0}',
        b'{"event": "losses", "epoch": "1", "base": 1.0, "warm_up": true, "seconds": 1.0}',
        b"\xff",
        b'{"event": ["losses"]}',
    ],
)
def test_a_damaged_event_is_told_with_its_place(line, runs_folder):
    with create(runs_folder) as writer:
        writer.append(losses(1))
        size = (writer.path / "events.jsonl").stat().st_size
        with (writer.path / "events.jsonl").open("ab") as file:
            file.write(line + b"\n")
        with pytest.raises(InputError, match=f"byte {size}"):
            writer.run.events()


def test_events_of_later_versions_are_passed_over(runs_folder):
    with create(runs_folder) as writer:
        with (writer.path / "events.jsonl").open("ab") as file:
            file.write(b'{"event": "from the future", "epoch": 1}\n')
        writer.append(losses(1))
        assert writer.run.events() == [losses(1)]


def test_no_number_in_json_is_not_a_number(runs_folder):
    with create(runs_folder) as writer:
        with pytest.raises(ValueError):
            writer.append(Losses(1, float("nan"), True, 0.1))
        with pytest.raises(ValueError):
            writer.write_status("running", seconds=float("inf"))
        assert writer.run.status.state == "queued"


def test_a_request_is_a_target(runs_folder):
    with create(runs_folder) as writer:
        run = writer.run
        assert (writer.control().run_until, writer.control().stop) == (None, False)
        run.request(run_until=0)
        assert writer.control().run_until == 0
        run.request(run_until=7)
        run.request(run_until=7)
        assert writer.control().run_until == 7
        run.request(stop=True)
        assert writer.control().stop
        with pytest.raises(InputError):
            run.request(run_until=-1)
        for rubbish in ("{", '{"run_until": "5"}', '{"run_until": -1}', '{"stop": 1}', "null"):
            (run.path / "control.json").write_text(rubbish)
            assert writer.control().stop, "the last good request stands"


def test_a_request_made_while_queued_is_kept(runs_folder):
    create(runs_folder).close()
    open_run("a-run").request(run_until=0)
    with RunWriter.reopen(runs_folder / "a-run") as writer:
        assert writer.control().run_until == 0


def test_snapshots_hold_arrays_and_nothing_else(runs_folder):
    with create(runs_folder) as writer:
        arrays = {"epoch": np.array(25), "entities": np.ones((3, 2), np.float16)}
        writer.snapshot("000025.npz", arrays)
        read = writer.run.load_snapshot(25)
        assert read.keys() == arrays.keys()
        assert read["entities"].dtype == np.float16
        for name in ("../evil.npz", "25.npz", "000025.npy"):
            with pytest.raises(ValueError):
                writer.snapshot(name, arrays)
        with pytest.raises(ValueError):
            writer.snapshot("000026.npz", {"x": np.array([Path], dtype=object)})
        assert [epoch for epoch, _ in writer.run.snapshots()] == [25]
        with pytest.raises(InputError, match="no snapshot"):
            writer.run.load_snapshot(26)
        np.savez(runs_folder / "a-run" / "snapshots" / "000027.npz", x=np.array([Path], dtype=object))
        (runs_folder / "a-run" / "snapshots" / "000028.npz").write_bytes(b"PK\x03\x04")
        for epoch in (27, 28):
            with pytest.raises(InputError, match="not a snapshot"):
                writer.run.load_snapshot(epoch)


def test_requests_made_while_a_resumed_run_waits_for_its_process_count(tmp_path):
    """A pause pressed between the click on Resume and the start of the process is not lost."""
    kg = KnowledgeGraph.load("nations")
    with RunWriter.create(tmp_path, "a-run", Config(epochs=4), kg.name, kg.hash, "nations") as writer:
        writer.write_status("stopped")
    run = Run(tmp_path / "a-run")
    run.request(stop=True)
    RunWriter.requeue(run.path)
    assert run.status.state == "queued"
    run.request(run_until=0)
    with RunWriter.reopen(run.path) as writer:
        assert (writer.control().run_until, writer.control().stop) == (0, False)
        writer.write_status("finished")
    with pytest.raises(InputError, match="finished"):
        RunWriter.requeue(run.path)


def test_the_shipped_recordings_can_be_read_by_this_version():
    from dans_lab.runs.weights import load_weights

    shipped = {run.config.sampler: run for run in runs.recorded_runs()}
    assert set(shipped) == {"dans", "uniform"}
    for run in shipped.values():
        assert run.status.state == "finished" and find_twin(run, list(shipped.values())) is not None
        assert run.events()[-1].epoch == run.config.epochs
        load_weights(run.load_checkpoint("best"), run.load_kg(), run.config)
        for epoch, _ in run.snapshots():
            assert int(run.load_snapshot(epoch)["epoch"]) == epoch
    size = sum(file.stat().st_size for file in runs.RECORDED.rglob("*") if file.is_file())
    assert size <= 3_000_000


def test_a_recorded_run_is_only_to_be_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "RECORDED", (tmp_path / "recorded").resolve())
    create(tmp_path / "recorded", "shown").close()
    [run] = runs.recorded_runs()
    assert run.recorded and open_run("shown").recorded
    with pytest.raises(InputError, match="recorded"):
        run.request(stop=True)
    with pytest.raises(InputError, match="recorded"):
        RunWriter.reopen(run.path)
    with pytest.raises(InputError, match="recorded"):
        create(tmp_path / "runs", "shown")


def test_a_changed_data_set_is_noticed(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for split in ("train", "valid", "test"):
        (data / f"{split}.txt").write_text(f"a\tlikes\tb\nb\tlikes\t{split[0]}\n")
    from dans_core.kg import KnowledgeGraph

    kg = KnowledgeGraph.load(data)
    RunWriter.create(tmp_path, "a-run", CONFIG, kg.name, kg.hash, data).close()
    assert Run(tmp_path / "a-run").load_kg().hash == kg.hash
    (data / "test.txt").write_text("b\tlikes\ta\n")
    with pytest.raises(InputError, match="other triplets"):
        Run(tmp_path / "a-run").load_kg()


def test_files_are_replaced_whole(runs_folder):
    with create(runs_folder) as writer:
        done = threading.Event()
        broken = []

        def read() -> None:
            while not done.is_set():
                try:
                    writer.run.stored_status  # noqa: B018
                except InputError as error:
                    broken.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        for epoch in range(200):
            writer.write_status("running", epoch=epoch)
        done.set()
        reader.join()
        assert not broken
        assert not [*writer.path.glob(".*.tmp")]
