"""The command line as a person and a script meet it: words, JSON, exit codes, Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from dans_core.events import Ranking
from dans_lab.cli import main
from dans_lab.names import SAMPLERS
from dans_lab.runs.events_file import read_events
from dans_lab.runs.run import RUNS_DIR_VARIABLE, Run
from dans_lab.runs.writer import RunWriter
from tests.lab.refusals import refused
from tests.waiting import PATIENCE, wait_for

COMMAND = [sys.executable, "-m", "dans_core"]
SMALL = ["--dataset", "nations", "--set", "dim=8", "--set", "eval_every=2"]


@pytest.fixture(scope="module")
def runs_folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(autouse=True)
def as_in_a_terminal(runs_folder, monkeypatch):
    """The folder of runs, and signals as they were after a command that handled them."""
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(runs_folder))
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def trained(runs_folder) -> Run:
    """A finished run of a few epochs, made by the real command and told in JSON."""
    command = [*COMMAND, "train", *SMALL, "--epochs", "8", "--out", "small", "--json"]
    environment = {**os.environ, RUNS_DIR_VARIABLE: str(runs_folder)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stderr == ""
    (runs_folder / "small.jsonl").write_text(done.stdout)
    return Run(runs_folder / "small")


def test_help_answers_without_torch():
    code = (
        "import sys; from dans_lab.cli import main; main(['--help']); main(['train', '--help']);"
        "print({'torch', 'streamlit', 'rich.live'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
    words = " ".join(done.stdout.split())
    for word in ("evaluate", "inspect", "datasets", "--resume", "[default: (complex)]", *SAMPLERS):
        assert word in words


def test_train_as_json(trained):
    *lines, summary = (trained.path.parent / "small.jsonl").read_bytes().splitlines(keepends=True)
    events = read_events(Path("small.jsonl"), b"".join(lines), 0)
    last = json.loads(summary)
    assert events == trained.events()
    assert (last["event"], last["state"], last["run"]) == ("summary", "finished", "small")
    assert last["best_mrr"] == max(event.mrr for event in events if isinstance(event, Ranking))
    assert 0 < last["floor_mrr"] < 1 and last["test_mrr"] == trained.status.test_mrr


def test_evaluate(trained, capsys):
    for run in ("small", str(trained.path)):
        assert main(["evaluate", run, "--json"]) == 0
        out, err = capsys.readouterr()
        result = json.loads(out)
        assert err == "" and out.count("\n") == 1
    metrics = {"mrr", "hits_at_1", "hits_at_3", "hits_at_10", "ndcg_at_5", "count"}
    for part in (result, result["tail"], result["head"], result["floor"], *result["relations"].values()):
        assert part.keys() >= metrics
        assert part["hits_at_1"] <= part["ndcg_at_5"] <= part["hits_at_10"] <= 1
    assert result["mrr"] == pytest.approx((result["tail"]["mrr"] + result["head"]["mrr"]) / 2)
    assert (result["split"], result["count"], result["checkpoint"]) == ("test", 402, "best")
    assert trained.status.test_mrr == pytest.approx(result["mrr"], abs=1e-12)
    assert result["epoch"] == trained.status.best_epoch

    assert main(["evaluate", "small", "--split", "valid", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mrr"] == pytest.approx(trained.status.best_mrr, abs=1e-9)
    assert main(["evaluate", "small", "--checkpoint", "last", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["epoch"] == 8

    assert main(["evaluate", "small"]) == 0
    table = capsys.readouterr().out
    for word in (
        "popularity floor",
        "NDCG@5",
        "both sides",
        f"{result['mrr']:.3f}",
        f"{result['floor']['mrr']:.3f}",
    ):
        assert word in table


def test_inspect(trained, capsys):
    triplet = ["--triplet", "brazil", "commonbloc2", "netherlands"]
    assert main(["inspect", "small", *triplet, "--draws", "3", "--json"]) == 0
    out, err = capsys.readouterr()
    seen = json.loads(out)
    assert err == "" and seen["fact"] == "train"
    sources = ["G_E", "G_R", "sampler", "random"]
    assert [row["source"] for row in seen["rows"]] == [
        "positive",
        *(each for each in sources for _ in range(3)),
    ]
    assert seen["rows"][0]["nearest"] == "netherlands"

    assert main(["inspect", "small", *triplet, "--side", "head", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["nearest"] == "brazil"
    reciprocal = ["--triplet", "netherlands", "commonbloc2⁻¹", "brazil"]
    assert main(["inspect", "small", *reciprocal, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["nearest"] == "brazil"

    assert main(["inspect", "small", *triplet, "--draws", "40"]) == 0
    table = capsys.readouterr().out
    assert "false negative (train)" in table and "positive" in table
    assert (
        "Its fakes are not negatives themselves" in table
        and len(re.findall(r"^ proposed ", table, re.M)) == 40
    )
    assert main(["inspect", "small", "--triplet", "usa", "commonbloc0", "usa"]) == 0
    assert "is no known fact of nations" in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize("sampler", ["self-adversarial", "kbgan", "one-vs-all"])
def test_inspect_shows_the_own_negatives_of_a_sampler(runs_folder, sampler, capsys):
    more = ["--sampler", sampler, "--epochs", "4", "--out", f"own-{sampler}"]
    assert main(["train", *SMALL, *more]) == 0
    assert "L_G" not in capsys.readouterr().out
    asked = ["inspect", f"own-{sampler}", "--triplet", "brazil", "commonbloc2", "netherlands", "--draws", "3"]
    assert main([*asked, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    own = [] if sampler == "one-vs-all" else ["sampler"] * 3
    assert [row["source"] for row in rows] == ["positive", *own, *["random"] * 3]
    assert main(asked) == 0
    table = capsys.readouterr().out
    assert len(re.findall(rf"^ {sampler} ", table, re.MULTILINE)) == len(own)
    assert ("weight:" in table) == (sampler == "self-adversarial")
    assert ("every other entity is a negative" in table) == (sampler == "one-vs-all")
    assert "so there are no fakes" in table
    assert "D real" not in table


def test_lines_tell_the_newest_round_of_the_game_and_when_it_was(runs_folder, capsys):
    more = ["--epochs", "12", "--set", "warmup_epochs=1", "--set", "play_every=4", "--out", "seldom"]
    assert main(["train", *SMALL, *more]) == 0
    lines = {
        int(found[1]): line
        for line in capsys.readouterr().out.splitlines()
        if (found := re.match(r"epoch (\d+)/12", line))
    }
    told = {epoch: re.findall(r"\(epoch (\d+)\)", line) for epoch, line in lines.items()}
    assert [told[epoch] for epoch in (6, 9, 10, 12)] == [[], ["6"], [], ["10"]]
    assert all("L_G E" in line and "L_D adv" in line for epoch, line in lines.items() if epoch > 1)


def test_lines_of_an_ablation_leave_out_what_it_has_not(runs_folder, capsys):
    assert main(["train", *SMALL, "--preset", "released-faults", "--epochs", "4", "--out", "faults"]) == 0
    assert re.search(r"L_G R \d\.\d+  L_D adv \d\.\d+  valid", capsys.readouterr().out)
    assert main(["inspect", "faults", "--triplet", "brazil", "commonbloc2", "netherlands"]) == 0
    table = capsys.readouterr().out
    assert "D real" in table and "D G_R" not in table and " G_E " not in table
    assert "proposed" not in table and "not negatives themselves" not in table


def test_datasets(capsys):
    assert main(["datasets", "--json"]) == 0
    found = {info["name"]: info for info in json.loads(capsys.readouterr().out)}
    assert found["umls"]["entities"] == 135 and found["umls"]["train"] == 5216
    assert main(["datasets"]) == 0
    assert "5,216" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--epochs", "-3"], "epochs = '-3'"),
        (["train", "--epochs", "many"], "whole number"),
        (["train", "--epochs", "nan"], "whole number"),
        (["train", "--seed", "-1"], "seed"),
        (["train", "--dataset", "umsl"], 'did you mean "umls"'),
        (["train", "--dataset", "/nowhere"], "/nowhere does not exist"),
        (["train", "--decoder", "transe"], "distmult, complex, rotate"),
        (["train", "--sampler", "NSCashing"], "did you mean 'nscaching'?"),
        (["train", "--sampler", "self_adversarial"], "did you mean 'self-adversarial'?"),
        (["train", "--decoder", "complx"], "did you mean 'complex'?"),
        (["train", "--set", "film=froze"], "must be one of trained, frozen, none; did you mean 'frozen'?"),
        (["train", "--set", "pathways=G-R"], "did you mean 'G_R'?"),
        (["train", "--preset", "releasedfaults"], "did you mean 'released-faults'?"),
        (["train", "--set", "lr"], "NAME=VALUE"),
        (["train", "--set", "=3"], "NAME=VALUE"),
        (["train", "--set", "lrr=0.1"], "did you mean 'lr'"),
        (["train", "--set", "lr=fast"], "lr = 'fast': must be a number"),
        (["train", "--set", "lr=inf"], "lr = 'inf'"),
        (["train", "--set", "epochs=3", "--epochs", "4"], "given twice"),
        (["train", "--set", "warmup_epochs=9", "--epochs", "4"], "the GAN never starts"),
        (["train", "--preset", "best"], "default, fakes-as-negatives, paper"),
        (["train", "--threads", "0"], "threads"),
        (["train", "--out", "small"], "exists already"),
        (["train", "--out", "Big Run"], "not a run id"),
        (["train", "--out", "/proc/new/run"], "cannot be made"),
        (["train", "--out", ".."], "'..' is not a run id"),
        (["train", "--out", ""], "'' is not a run id"),
        (["train", "--resume"], "needs a RUN"),
        (["train", "--resume", "--out", "nothing"], "there is no run 'nothing'"),
        (["train", "--resume", "--out", "small"], "finished"),
        (["train", "--bogus"], "No such option"),
        (["evaluate"], "Missing argument 'RUN'"),
        (["evaluate", "nothing"], "there is no run 'nothing'"),
        (["evaluate", "../../etc"], "there is no run"),
        (["evaluate", "small", "--split", "dev"], "train, valid, test"),
        (["evaluate", "small", "--checkpoint", "first"], "best, last"),
        (["inspect", "small", "--triplet", "brazil", "commonbloc2", "ukk"], 'did you mean "uk"'),
        (["inspect", "small", "--triplet", "brazil", "commonblock2", "uk"], "did you mean"),
        (["inspect", "small", "--triplet", "brazil", "uk"], "3 arguments"),
        (["inspect", "small", "--triplet", "uk", "commonbloc2", "usa", "--side", "left"], "tail, head"),
        (["inspect", "small", "--triplet", "uk", "commonbloc2", "usa", "--draws", "0"], "--draws"),
        (["fly"], "No such command"),
    ],
)
def test_a_mistake_gets_one_sentence(arguments, words, trained, capsys):
    before = sorted(path.name for path in trained.path.parent.iterdir())
    assert words in refused(arguments, capsys)
    assert before == sorted(path.name for path in trained.path.parent.iterdir())


def test_damaged_or_foreign_weights_get_one_sentence(trained, runs_folder, capsys):
    damaged = runs_folder / "damaged"
    shutil.copytree(trained.path, damaged)
    (damaged / "best.pt").write_bytes(b"rubbish")
    assert "not a checkpoint" in refused(["evaluate", "damaged"], capsys)
    (damaged / "best.pt").unlink()
    assert "no best.pt" in refused(["evaluate", "damaged"], capsys)
    stored = json.loads((damaged / "config.json").read_text())
    (damaged / "config.json").write_text(json.dumps(stored | {"hash": "0" * 64}))
    assert "other triplets" in refused(["evaluate", "damaged", "--checkpoint", "last"], capsys)
    stored["config"]["dim"] = 10
    (damaged / "config.json").write_text(json.dumps(stored))
    assert "does not fit" in refused(["evaluate", "damaged", "--checkpoint", "last"], capsys)
    shutil.rmtree(damaged)


def test_plain_lines_where_there_is_no_terminal(capsys):
    assert main(["train", *SMALL, "--sampler", "uniform", "--epochs", "30", "--out", "plain"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert len(re.findall(r"^epoch \d+/30  base ", out, re.MULTILINE)) == 10
    assert "popularity floor" in out and "evaluate plain --split test" in out


def test_a_run_that_cannot_be_written_exits_with_1(runs_folder, capsys, monkeypatch):
    make = RunWriter.create

    def make_unwritable(*arguments: object) -> RunWriter:
        writer = make(*arguments)
        (writer.path / "snapshots").rmdir()
        (writer.path / "snapshots").write_text("in the way")
        return writer

    monkeypatch.setattr(RunWriter, "create", make_unwritable)
    assert main(["train", *SMALL, "--epochs", "4", "--out", "failing", "--json"]) == 1
    out, err = capsys.readouterr()
    assert err.endswith("failing cannot be written (Not a directory)\n") and err.count("\n") == 1
    assert json.loads(out.splitlines()[-1])["state"] == "stopped"


def wait_for_epoch(run: Run, epoch: int) -> None:
    wait_for(
        lambda: (run.path / "status.json").exists() and run.stored_status.epoch >= epoch, f"epoch {epoch}"
    )


@pytest.mark.kill
def test_ctrl_c_then_resume(runs_folder, capsys):
    """In a real terminal, so that the bar is drawn: one Ctrl-C stops in order; the run then goes on here."""
    terminal, stdout = pty.openpty()
    command = [*COMMAND, "train", *SMALL, "--epochs", "2000", "--out", "broken-off"]
    process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, start_new_session=True)
    os.close(stdout)
    run = Run(runs_folder / "broken-off")
    shown = b""
    try:
        wait_for_epoch(run, 5)
        process.send_signal(signal.SIGINT)
        # The other end of a terminal closes with an error.
        with suppress(OSError):
            while data := os.read(terminal, 65536):
                shown += data
        assert process.wait(PATIENCE) == 130
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.communicate()
        os.close(terminal)
    status = run.status
    assert status.state == "stopped" and 5 <= status.epoch < 2000
    text = shown.decode()
    assert "epoch" in text and "go on: python -m dans_core train --resume broken-off" in text
    assert text.endswith("broken-off\r\n") and "\x1b[?25h" in text, "the cursor is shown again"

    assert "has dim = 8, not 16" in refused(
        ["train", "--resume", "--out", "broken-off", "--set", "dim=16"], capsys
    )
    assert "not umls" in refused(["train", "--resume", "--out", "broken-off", "--dataset", "umls"], capsys)
    # Stopped again at once, by a reader who went away after some lines.
    command = [
        *COMMAND,
        "train",
        "--resume",
        "--out",
        "broken-off",
        "--dataset",
        "nations",
        "--epochs",
        "2000",
    ]
    command.append("--json")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    first = json.loads(process.stdout.readline())
    process.stdout.close()
    assert first["epoch"] >= status.epoch
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(PATIENCE) != 0
    assert run.status.state == "stopped" and run.status.epoch > status.epoch
