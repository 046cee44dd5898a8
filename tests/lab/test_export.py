"""What a run gives to other programs: tables that read back as they were, and the command `export`."""

from __future__ import annotations

import csv
import io
import json
import math
import shlex
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from pyarrow import parquet

from dans_core import Config, KnowledgeGraph
from dans_core.events import Snapshot
from dans_data import SPLITS
from dans_data.errors import InputError
from dans_lab.cli import main
from dans_lab.export import run_export as export
from dans_lab.export.points import points_parquet
from dans_lab.export.run_export import Kept
from dans_lab.export.spreadsheet import csv_bytes, spreadsheet_text
from dans_lab.health import HealthWarning
from dans_lab.runs.frames import Frame, nearest_entities
from dans_lab.runs.records import Stored, read
from dans_lab.runs.run import RECORDED, RUNS_DIR_VARIABLE, Run
from dans_lab.runs.writer import RunWriter
from tests import small_run
from tests.lab.refusals import refused
from tests.spreadsheets import original_text

ATLAS = "embedding-atlas==0.26.0"
RECORDED_RUN = "umls-complex-dans"
OF_RUN = ["README.md", "config.json", "metrics.csv"]
OF_SNAPSHOT = [
    "negatives.csv",
    "embeddings.npz",
    "vectors.tsv",
    "metadata.tsv",
    "projector_config.pbtxt",
    "points.parquet",
]
OF_MODEL = [
    "model.safetensors",
    "entities.tsv",
    "relations.tsv",
    *(f"triplets/{split}.{ending}" for split in SPLITS for ending in ("txt", "del")),
    *(f"triplets/{name}" for name in ("entity_ids.del", "relation_ids.del", "dataset.yaml")),
]
FILES = [*OF_RUN, *OF_SNAPSHOT, *OF_MODEL]
NASTY = [
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "'=x",
    "''-",
    "-5",
    "+.5e3",
    'a"b',
    "a,b",
    "＝1",
]


def files_in(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def rows_of(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


@pytest.fixture(autouse=True)
def own_runs(tmp_path, monkeypatch):
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(tmp_path / "runs"))


# --- CSV


@given(
    some.lists(
        some.one_of(some.sampled_from(NASTY), some.text(some.characters(exclude_categories=["Cs"]))),
        min_size=2,
    )
)
def test_any_text_reads_back_and_none_is_a_formula(cells):
    _, row = rows_of(csv_bytes([f"c{i}" for i in range(len(cells))], [cells]))
    assert [original_text(cell) for cell in row] == cells
    for cell in row:
        if cell[:1] in tuple("=+-@\t\r\n＝＋－＠"):
            float(cell)


def test_numbers_stay_numbers_and_what_is_missing_is_empty():
    assert rows_of(csv_bytes(["a"], [(-1.5, "-1.5", 3, None, "-1.5x")]))[1] == [
        "-1.5",
        "-1.5",
        "3",
        "",
        "'-1.5x",
    ]
    assert spreadsheet_text("an ordinary_name") == "an ordinary_name"


# --- metrics


def test_metrics_hold_every_number_of_every_event():
    run = Run(RECORDED / RECORDED_RUN)
    heading, *rows = rows_of(export.metrics_csv(run))
    assert tuple(heading) == export.METRIC_COLUMNS
    found = {(int(epoch), name): float(value) for epoch, name, value in rows}
    assert len(found) == len(rows)
    wanted = {}
    for line in (run.path / "events.jsonl").read_text().splitlines()[1:]:
        event = json.loads(line)
        kind, epoch = event.pop("event"), event.pop("epoch")
        if kind == "warning":
            wanted[epoch, f"warning.{event['code']}.{event['pathway']}".removesuffix(".None")] = event[
                "active"
            ]
            continue
        prefix = f"{kind}.{event['split']}" if kind == "ranking" else kind
        for name, value in event.items():
            for inner, number in value.items() if isinstance(value, dict) else [("", value)]:
                if isinstance(number, (bool, int, float)):
                    wanted[epoch, f"{prefix}.{name}.{inner}".rstrip(".")] = number
    assert found == wanted
    assert {"losses.g_e", "ranking.valid.mrr", "diagnostics.g_r.copy_spread", "finished.best_mrr"} <= {
        name for _, name in found
    }


def test_a_warning_is_one_where_it_begins_and_nought_where_it_ends():
    events = [
        HealthWarning(3, "copies", "G_R", "words", "advice"),
        HealthWarning(5, "copies", "G_R", "words", "advice", active=False),
        HealthWarning(6, "d-too-weak", None, "words", "advice"),
        Snapshot(7, "000007.npz"),
    ]
    assert list(export.metrics(events)) == [
        (3, "warning.copies.G_R", 1),
        (5, "warning.copies.G_R", 0),
        (6, "warning.d-too-weak", 1),
    ]


# --- negatives


@pytest.mark.parametrize("gan", [True, False])
def test_negatives_are_those_of_the_snapshot(nations, gan):
    arrays = small_run.arrays(nations, 4, gan=gan)
    if gan:
        arrays["d_fakes_e"] = np.linspace(0, 1, nations.num_entities).astype(np.float16)
    kept = Kept(Frame.of(arrays, nations.num_entities, nations.num_relations), nations)
    rows = [dict(zip(export.NEGATIVE_COLUMNS, row, strict=True)) for row in export.negatives(kept)]
    entities = arrays["entities"].astype(np.float64)
    typical = np.median(np.linalg.norm(entities, axis=1))
    wanted = []
    for source in ("G_E", "G_R", "random") if gan else ("random",):
        for query, (head, relation) in enumerate(arrays["queries"].tolist()):
            if source == "G_E":
                place = arrays["heads_e"].tolist().index(head)
                point, d_adv = arrays["fakes_e"][place], arrays["d_fakes_e"][place]
                score, d_aux = arrays["score_e"][query], arrays["aux_fakes_e"][place]
            elif source == "G_R":
                point, d_adv = arrays["fakes_r"][query], arrays["d_fakes_r"][query]
                score, d_aux = arrays["score_r"][query], arrays["aux_fakes_r"][query]
            else:
                point, d_adv = entities[arrays["random"][query]], None
                score, d_aux = arrays["score_random"][query], None
                if gan:
                    d_adv = arrays["d_entities"][arrays["random"][query]]
            point = point.astype(np.float64)
            cosines = entities @ point / np.linalg.norm(entities, axis=1) / np.linalg.norm(point)
            near = int(np.argmax(cosines))
            wanted.append(
                {
                    "epoch": 4,
                    "source": source,
                    "head": nations.entities[head],
                    "relation": nations.relation_name(relation),
                    "answer": nations.entities[arrays["answers"][query]],
                    "nearest entity": nations.entities[near],
                    "cosine": pytest.approx(cosines[near], abs=1e-5),
                    "length": pytest.approx(np.linalg.norm(point) / typical, rel=1e-5),
                    "score": pytest.approx(float(score), rel=1e-5),
                    "positive score": pytest.approx(float(arrays["score_true"][query]), rel=1e-5),
                    "D_adv": None if d_adv is None else pytest.approx(float(d_adv), rel=1e-5),
                    "D_aux": None if d_aux is None else pytest.approx(float(d_aux), rel=1e-5),
                    "known fact": nations.split_of(head, relation, near),
                }
            )
    assert rows == wanted
    assert {row["known fact"] for row in rows} >= {None, "train"}
    heading, *lines = rows_of(export.negatives_csv(kept))
    assert tuple(heading) == export.NEGATIVE_COLUMNS and len(lines) == len(rows)


def test_nearest_in_blocks_is_nearest_at_once():
    random = np.random.default_rng(0)
    points, entities = (
        random.normal(size=(50, 6)).astype(np.float32),
        random.normal(size=(9, 6)).astype(np.float32),
    )
    whole, blocks = (
        nearest_entities(points, entities),
        nearest_entities(points, entities, cells=20),
    )
    np.testing.assert_array_equal(whole[0], blocks[0])
    np.testing.assert_allclose(whole[1], blocks[1], rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"queries": None}, "no queries"),
        ({"entities": np.zeros((3, 8), np.float16)}, "not the same data"),
        ({"entities": np.zeros(14, np.float16)}, "entities do not match"),
        ({"fakes_r": np.zeros((2, 8), np.float16)}, "fakes_r do not match"),
        ({"heads_e": np.arange(14)[::-1]}, "heads_e do not match"),
        ({"score_true": np.array("x")}, "score_true do not match"),
        ({"random": "beyond"}, "names random"),
    ],
)
def test_a_snapshot_that_does_not_fit_is_told(nations, change, said):
    arrays = small_run.arrays(nations, 0)
    if isinstance(change.get("random"), str):
        change = {"random": np.full_like(arrays["random"], nations.num_entities)}
    arrays = {name: array for name, array in (arrays | change).items() if array is not None}
    with pytest.raises(InputError, match=said):
        Frame.of(arrays, nations.num_entities, nations.num_relations)


# --- the command


def test_a_recorded_run_is_exported(tmp_path, umls, capsys):
    folder = tmp_path / "out"
    folder.mkdir()
    assert main(["export", RECORDED_RUN, "--to", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert err == "" and "epoch 300" in out
    assert files_in(folder) == sorted(FILES)
    run = Run(RECORDED / RECORDED_RUN)
    # With the settings that are younger than the recorded run, at their defaults.
    complete = {"config": run.config.model_dump()}
    assert read(folder / "config.json", Stored) == read(run.path / "config.json", Stored).model_copy(
        update=complete
    )
    assert export.command(run) in (folder / "README.md").read_text() and export.command(run) in out
    with np.load(folder / "embeddings.npz", allow_pickle=False) as held:
        assert held["entity_names"].tolist() == list(umls.entities)
        assert held["relation_names"][-1] == umls.relation_name(2 * umls.num_relations - 1)
        vectors = np.loadtxt(folder / "vectors.tsv", delimiter="\t")
        np.testing.assert_array_equal(vectors.astype(np.float16), held["entities"].astype(np.float16))
    heading, *lines = (folder / "metadata.tsv").read_text().splitlines()
    assert heading.split("\t") == ["name", "training triplets"]
    train = umls.array("train")
    wanted = [
        f"{name}\t{int(((train[:, 0] == i) | (train[:, 2] == i)).sum())}"
        for i, name in enumerate(umls.entities)
    ]
    assert lines == wanted
    negatives = rows_of((folder / "negatives.csv").read_bytes())
    assert {row[1] for row in negatives[1:]} == {"G_E", "G_R", "random"}
    assert {row[-1] for row in negatives[1:]} <= {"", *SPLITS}


def test_it_tells_a_machine(tmp_path):
    code = (
        "import sys; from dans_lab.cli import main;"
        f"main(['export', {RECORDED_RUN!r}, '--to', sys.argv[1], '--json'])"
    )
    folder = tmp_path / "a" / "b"
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    assert (said["run"], said["folder"], said["epoch"]) == (RECORDED_RUN, str(folder), 300)
    assert said["files"] == {name: (folder / name).stat().st_size for name in FILES}
    assert shlex.split(said["command"])[:4] == ["python", "-m", "dans_core", "train"]


def test_what_is_asked_wrongly_gets_one_sentence(tmp_path, capsys):
    occupied = tmp_path / "occupied"
    occupied.mkdir()
    (occupied / "mine").write_text("x")
    assert "is not empty" in refused(["export", RECORDED_RUN, "--to", str(occupied)], capsys)
    assert [file.name for file in occupied.iterdir()] == ["mine"]
    assert "is a file" in refused(["export", RECORDED_RUN, "--to", str(occupied / "mine")], capsys)
    assert "cannot be" in refused(["export", RECORDED_RUN, "--to", str(occupied / "mine" / "x")], capsys)
    assert "no run 'nope'" in refused(["export", "nope", "--to", str(tmp_path / "x")], capsys)
    assert "--to" in refused(["export", RECORDED_RUN], capsys)
    assert not (tmp_path / "x").exists()


def test_a_run_without_snapshots_gives_what_it_has(tmp_path, nations, capsys):
    small_run.drawn(tmp_path / "runs", nations, "nations", "bare", epochs=())
    assert main(["export", "bare", "--to", str(tmp_path / "out")]) == 0
    assert "no snapshot" in capsys.readouterr().out
    assert files_in(tmp_path / "out") == sorted(OF_RUN)
    card = (tmp_path / "out" / "README.md").read_text()
    assert "no snapshot" in card and "has kept no weights" in card


def test_a_run_of_own_data_and_its_relations(tmp_path, capsys):
    data = tmp_path / "it's -data"
    data.mkdir()
    lines = [f"{'=' if i % 2 else ''}e{i}\t+r\te{(i * 3 + 1) % 5}" for i in range(5)]
    for split in SPLITS:
        (data / f"{split}.txt").write_text("\n".join(lines if split == "train" else lines[:1]) + "\n")

    kg = KnowledgeGraph.load(data)
    run = small_run.drawn(tmp_path / "runs", kg, str(data), "own")
    words = shlex.split(export.command(run))
    assert words[words.index("--dataset") + 1] == str(data)
    assert main(["export", "own", "--to", str(tmp_path / "out")]) == 0
    with np.load(tmp_path / "out" / "embeddings.npz", allow_pickle=False) as held:
        assert held["relations"].shape == (2, 8)
    rows = rows_of((tmp_path / "out" / "negatives.csv").read_bytes())
    assert {row[3] for row in rows[1:]} == {"'+r", "'+r⁻¹"}
    assert {original_text(row[2]) for row in rows[1:]} == set(kg.entities)
    with zipfile.ZipFile(io.BytesIO(export.embeddings_zip(export.newest_snapshot(run)))) as archive:
        assert archive.namelist() == OF_SNAPSHOT[2:]
        names = [line.split("\t")[0] for line in archive.read("metadata.tsv").decode().splitlines()[1:]]
    assert [original_text(name) for name in names] == list(kg.entities)
    assert not any(name.startswith(("=", "+", "-", "@")) for name in names)
    (data / "train.txt").write_text("a\tr\tb\n")
    capsys.readouterr()
    assert "other triplets" in refused(["export", "own", "--to", str(tmp_path / "again")], capsys)
    assert not (tmp_path / "again").exists()


def test_a_damaged_run_leaves_nothing_behind(tmp_path, nations, capsys):
    config = Config(sampler="uniform", epochs=10)
    with RunWriter.create(tmp_path / "runs", "bad", config, nations.name, nations.hash, "nations") as writer:
        path = writer.path
    with (path / "events.jsonl").open("a") as file:
        file.write("not an event\n")
    assert "not an event" in refused(["export", "bad", "--to", str(tmp_path / "out")], capsys)
    assert not (tmp_path / "out").exists()
    (tmp_path / "empty").mkdir()
    refused(["export", "bad", "--to", str(tmp_path / "empty")], capsys)
    assert list((tmp_path / "empty").iterdir()) == []
    (path / "snapshots" / "000003.npz").write_bytes(b"not a snapshot")
    assert "not a snapshot" in refused(["export", "bad", "--to", str(tmp_path / "out")], capsys)


# --- opened elsewhere


def written(kept: Kept, folder: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(export.embeddings_zip(kept))) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def recorded() -> Kept:
    kept = export.newest_snapshot(Run(RECORDED / RECORDED_RUN))
    assert kept is not None
    return kept


def test_tensorboards_own_projector_reads_points_and_names(tmp_path, recorded):
    """The real plugin of TensorBoard, as `tensorboard --logdir FOLDER` asks it."""
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
    from werkzeug.test import Client

    folder = str(written(recorded, tmp_path))
    provider = MultiplexerDataProvider(EventMultiplexer(), folder)
    routes = ProjectorPlugin(TBContext(logdir=folder, data_provider=provider)).get_plugin_apps()

    def asked(route: str) -> bytes:
        answer = Client(routes[route]).get("/", query_string={"run": ".", "name": "entities"})
        assert answer.status_code == 200, answer.data
        return answer.data

    assert json.loads(asked("/runs")) == ["."]
    (told,) = json.loads(asked("/info"))["embeddings"]
    entities = recorded.frame.entities
    assert (told["tensorName"], told["tensorShape"]) == ("entities", list(entities.shape))
    np.testing.assert_allclose(
        np.frombuffer(asked("/tensor"), "<f4").reshape(entities.shape), entities, rtol=1e-4
    )
    heading, *lines = asked("/metadata").decode().splitlines()
    assert heading == "name\ttraining triplets" and len(lines) == len(entities)
    assert [line.split("\t")[0] for line in lines] == list(recorded.kg.entities)


@pytest.mark.parametrize("gan", [True, False])
def test_points_are_the_entities_and_fakes_of_the_snapshot(nations, gan):
    arrays = small_run.arrays(nations, 4, gan=gan)
    frame = Frame.of(arrays, nations.num_entities, nations.num_relations)
    rows = parquet.read_table(io.BytesIO(points_parquet(frame, nations))).to_pylist()
    n, conditions, queries = nations.num_entities, len(frame.fakes_e), len(frame.fakes_r)
    assert Counter(row["kind"] for row in rows) == Counter(
        {"entity": n, "fake of G_E": conditions, "fake of G_R": queries}
    )
    np.testing.assert_array_equal([row["vector"] for row in rows], np.concatenate(frame.groups))
    assert [row["name"] for row in rows[:n]] == list(nations.entities)
    assert all(math.isfinite(row["x"]) and math.isfinite(row["y"]) for row in rows)
    first = rows[0]
    assert (
        first["head"]
        is first["relation"]
        is first["nearest_entity"]
        is first["cosine"]
        is first["score"]
        is None
    )
    assert (first["d_adv"], first["d_aux"]) == ((0.5, 0.5) if gan else (None, None))
    if not gan:
        return
    made = rows[n]
    assert made["name"] == f"fake for {nations.entities[0]}" and made["relation"] is made["score"] is None
    (head, relation), last = frame.queries[-1], rows[-1]
    asked = (nations.entities[head], nations.relation_name(int(relation)))
    assert (last["head"], last["relation"]) == asked and last["name"] == f"fake for ({asked[0]}, {asked[1]})"
    assert last["score"] == pytest.approx(float(arrays["score_r"][-1])) and last["training_triplets"] is None
    near, cosine = frame.nearest("G_R", np.array([queries - 1]))
    assert (last["nearest_entity"], last["cosine"]) == (
        nations.entities[near[0]],
        pytest.approx(float(cosine[0])),
    )


@pytest.mark.slow
def test_embedding_atlas_itself_opens_the_points(tmp_path, recorded):
    """By its command, in an environment that brings torch: it reads them and packs them for a browser."""
    folder, home = written(recorded, tmp_path / "out"), tmp_path / "atlas"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    subprocess.run([home / "bin" / "pip", "install", "--quiet", ATLAS], check=True)
    command = "embedding-atlas points.parquet --text name --x x --y y --export-application packed"
    done = subprocess.run(
        [home / "bin" / command.split()[0], *command.split()[1:]], cwd=folder, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    (kept,) = (folder / "packed" / "data").glob("*.parquet")
    packed = parquet.read_table(kept).to_pylist()
    mine = parquet.read_table(folder / "points.parquet").to_pylist()
    assert [(row["name"], row["x"], row["y"]) for row in packed] == [
        (row["name"], row["x"], row["y"]) for row in mine
    ]
