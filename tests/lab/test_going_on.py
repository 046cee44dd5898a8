"""More epochs for a run that is over, an end for want of patience, and runs that have no valid split."""

from __future__ import annotations

import json

import pytest

from dans_core import Config, KnowledgeGraph
from dans_core.events import Finished, Ranking
from dans_data.errors import InputError
from dans_lab.cli import main
from dans_lab.going_on import config_of, differences, ended_early, in_words
from dans_lab.prediction import load_run
from dans_lab.runs.run import RUNS_DIR_VARIABLE, Run
from dans_lab.runs.writer import RunWriter
from tests.lab.refusals import refused
from tests.lab.test_worker import create, train
from tests.same_run import assert_same_run

# Its best valid ranking is well before the end.
EARLY = Config(sampler="uniform", epochs=60, dim=8, lr=0.1, eval_every=2, patience=6, average=0.0)
SHORT = Config(epochs=8, warmup_epochs=4, dim=8, eval_every=2, diagnose_every=4, snapshot_every=4)


@pytest.fixture(autouse=True)
def own_runs(tmp_path, monkeypatch):
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(tmp_path))


def finished(tmp_path, kg: KnowledgeGraph, config: Config, run_id: str = "a-run") -> Run:
    writer = create(tmp_path, kg, config, run_id)
    assert train(writer, kg) == "finished"
    return Run(writer.path)


@pytest.mark.parametrize("sampler", ["dans", "uniform", "nscaching"])
def test_a_run_that_is_trained_on_is_the_run_without_a_break(tmp_path, nations, sampler):
    run = finished(tmp_path, nations, SHORT.with_values(sampler=sampler))
    whole = finished(tmp_path, nations, SHORT.with_values(sampler=sampler, epochs=16), "whole")
    more = config_of(run, 16)
    RunWriter.train_on(run.path, more).close()
    assert train(RunWriter.reopen(run.path), nations) == "finished"
    run = Run(run.path)
    assert_same_run(run, whole)
    assert run.config == whole.config and run.meta.trained_on == [8]
    assert [event.epoch for event in run.events() if isinstance(event, Finished)] == [16]
    assert (run.status.epoch, run.status.epochs) == (16, 16)


class Killed(BaseException):
    """Nobody catches it, so what it ends has no time to write anything more."""


@pytest.mark.parametrize("trained_on", [True, False])
def test_one_that_is_killed_before_its_next_checkpoint_goes_on_all_the_same(
    tmp_path, nations, monkeypatch, trained_on
):
    run = finished(tmp_path, nations, SHORT)
    whole = finished(tmp_path, nations, SHORT.with_values(epochs=16) if trained_on else SHORT, "whole")
    if trained_on:
        RunWriter.train_on(run.path, config_of(run, 16)).close()
    else:
        # Killed when its last checkpoint was there, and before anyone was told that it is finished.
        status = json.loads((run.path / "status.json").read_text()) | {"state": "running"}
        (run.path / "status.json").write_text(json.dumps(status))

    def killed(self: RunWriter, kept: bytes) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(RunWriter, "_start_log", killed)
        for _ in range(2):
            with pytest.raises(Killed):
                RunWriter.reopen(run.path)
    for _ in range(2):
        RunWriter.reopen(run.path).close()
    assert train(RunWriter.reopen(run.path), nations) == "finished"
    assert_same_run(Run(run.path), whole)


def test_weights_do_not_hang_on_what_was_measured_out_of_turn(tmp_path, nations):
    """The end of nine epochs is ranked, diagnosed and kept, which sixteen epochs without a break do not do there."""
    run = finished(tmp_path, nations, SHORT.with_values(epochs=9))
    more = config_of(run, 16)
    told = in_words(more, differences(run, more, len(nations.train)))
    assert "Epoch 9, where it was over, was ranked, diagnosed and kept as a snapshot out of turn" in told
    RunWriter.train_on(run.path, more).close()
    assert train(RunWriter.reopen(run.path), nations) == "finished"
    whole = finished(tmp_path, nations, SHORT.with_values(epochs=16), "whole")
    ours, theirs = (each.load_checkpoint("last") for each in (run, whole))
    for part in ("networks", "optimizer", "random"):
        assert str(ours[part]) == str(theirs[part])


def test_what_hangs_on_the_number_of_epochs_is_said(tmp_path, nations):
    config = Config(epochs=8, dim=8, eval_every=2, diagnose_every=4, snapshot_every=4)
    run = finished(tmp_path, nations, config)
    found = differences(run, config_of(run, 40), len(nations.train))
    assert found[0].startswith("Its warm-up is 4 epochs; a run of 40 epochs from the start has 20")
    assert found[1].startswith("A ranking below the floor was warned of from epoch 5 on")
    assert len(found) == 2
    chosen = finished(tmp_path, nations, config.with_values(warmup_epochs=2), "chosen")
    assert "warm-up" not in str(differences(chosen, config_of(chosen, 40), len(nations.train)))
    long = finished(tmp_path, nations, config.with_values(epochs=100, sampler="uniform"), "long")
    more = config_of(long, 200)
    assert in_words(more, differences(long, more, len(nations.train))).endswith("bit for bit.")


def test_an_end_for_want_of_patience_and_on_from_there(tmp_path, nations):
    run = finished(tmp_path, nations, EARLY)
    status = run.status
    best = max((event for event in run.events() if isinstance(event, Ranking)), key=lambda each: each.mrr)
    assert ended_early(status) and status.epoch == best.epoch + 6 < 60
    assert [event.epoch for event in run.events() if isinstance(event, Finished)] == [status.epoch]
    assert run.snapshots()[-1][0] == status.epoch

    # The count is that of a run that was broken off and resumed, bit for bit.
    done: list = []
    writer = create(tmp_path, nations, EARLY, "broken")
    stop = 2 * (best.epoch + 3) + 1
    assert train(writer, nations, stop=lambda: len(done) >= stop, on_stage=done.append) == "stopped"
    assert train(RunWriter.reopen(writer.path), nations) == "finished"
    assert_same_run(Run(writer.path), run)

    with pytest.raises(
        InputError, match="would end at once, as its valid ranking got no better for 6 epochs"
    ):
        config_of(run, 80)
    RunWriter.train_on(run.path, config_of(run, 60, 0)).close()
    assert train(RunWriter.reopen(run.path), nations) == "finished"
    whole = finished(tmp_path, nations, EARLY.with_values(patience=0), "whole")
    ours, theirs = (each.load_checkpoint("last") for each in (Run(run.path), whole))
    assert str(ours["networks"]) == str(theirs["networks"]) and Run(run.path).status.epoch == 60


def test_patience_begins_after_the_warm_up():
    config = Config(epochs=100, warmup_epochs=20, patience=10, eval_every=2)
    assert [config.out_of_patience(epoch, 4) for epoch in (14, 28, 29, 30)] == [False, False, False, True]
    assert not config.out_of_patience(31, 4), "nothing is ranked there"
    assert config.with_values(sampler="uniform").out_of_patience(14, 4)
    assert not config.out_of_patience(60, None) and not config.with_values(patience=0).out_of_patience(90, 2)


def test_the_terminal_trains_on_and_says_what_it_does(tmp_path, nations, capsys):
    run = finished(tmp_path, nations, SHORT)
    assert "say how many epochs it is to have in all, such as --epochs 108" in refused(
        ["train", "--resume", "a-run"], capsys
    )
    assert "epochs = 6: run a-run has 8 behind it" in refused(
        ["train", "--resume", "a-run", "--epochs", "6"], capsys
    )
    assert "has seed = 0, not 1" in refused(
        ["train", "--resume", "a-run", "--epochs", "12", "--seed", "1"], capsys
    )
    assert "a run is named here only with --resume" in refused(["train", "a-run"], capsys)
    assert "name two runs" in refused(["train", "--resume", "a-run", "--out", "b"], capsys)
    assert run.config.epochs == 8
    assert main(["train", "--resume", "a-run", "--epochs", "12"]) == 0
    out = capsys.readouterr().out
    assert "A ranking below the floor was warned of from epoch 5 on" in out
    assert "12 epochs, seed 0, on cpu, float32, trained on from epoch 8" in out
    assert "finished at epoch 12 of 12" in out
    assert main(["train", "--resume", "a-run", "--epochs", "300", "--set", "patience=20"]) == 0
    out = capsys.readouterr().out
    assert "patience 20, trained on from epoch 8 and 12" in out
    assert "it ended early: for 20 epochs the valid ranking got no better" in out


def test_runs_of_studies_and_those_without_a_checkpoint_are_not_trained_on(tmp_path, nations):
    with RunWriter.create(tmp_path, "s", SHORT, "nations", nations.hash, "nations", "a-study") as writer:
        writer.write_status("finished", epoch=8)
    with pytest.raises(InputError, match="belongs to study a-study, whose file says how many epochs"):
        config_of(writer.run, 20)
    with RunWriter.create(tmp_path, "w", SHORT, "nations", nations.hash, "nations") as writer:
        writer.write_status("finished", epoch=8)
    with pytest.raises(InputError, match=r"has no last\.pt to go on from; train a new one of 20 epochs"):
        config_of(writer.run, 20)


def test_without_a_valid_split_the_last_weights_are_kept_and_everyone_says_so(tmp_path, capsys, monkeypatch):
    (tmp_path / "data").mkdir()
    graph = KnowledgeGraph.load("nations")
    for split in ("train", "test"):
        rows = ("\t".join(row) for row in graph.named(split))
        (tmp_path / "data" / f"{split}.txt").write_text("\n".join(rows) + "\n")
    (tmp_path / "data" / "valid.txt").write_text("")
    arguments = [
        "--dataset",
        str(tmp_path / "data"),
        "--epochs",
        "4",
        "--set",
        "dim=8",
        "--set",
        "patience=1",
    ]
    assert main(["train", *arguments, "--out", "blind"]) == 0
    out = capsys.readouterr().out
    assert "note: valid is empty, so training keeps the last weights" in out
    assert "the weights that are kept are the last ones" in out
    run = Run(tmp_path / "blind")
    assert run.status.epoch == 4 and not (run.path / "best.pt").exists()

    assert main(["evaluate", "blind"]) == 0
    out = capsys.readouterr().out
    assert "last weights, epoch 4" in out and "no valid split to say which epoch is the best" in out
    assert main(["evaluate", "blind", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["checkpoint"], found["epoch"]) == ("last", 4)
    assert "no best.pt" in refused(["evaluate", "blind", "--checkpoint", "best"], capsys)
    assert load_run("blind").evaluate().mrr == found["mrr"]
