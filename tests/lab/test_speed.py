"""Times of this machine: what is measured, how it is kept, and which finished runs tell."""

from __future__ import annotations

import json
import logging
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from dans_core.config import Config
from dans_core.kg import KnowledgeGraph
from dans_core.training import Trainer
from dans_lab.budget import costs, practice, speed
from dans_lab.budget.estimates import predict
from dans_lab.budget.experience import Expected, expect
from dans_lab.budget.practice import Timed
from dans_lab.budget.sizes import Sizes
from dans_lab.budget.speed import Slower, Speed
from dans_lab.cli import main
from dans_lab.runs import machine
from dans_lab.runs.run import RUNS_DIR_VARIABLE, Run, list_runs
from dans_lab.runs.writer import RunWriter, versions

UMLS = Sizes(135, 46, 5_216, 1_560, 652, 18_225)
WN18RR = Sizes(40_943, 11, 86_835, 103_509, 3_034, 3_367_338)


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("DANS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(tmp_path / "runs"))


def speed_of(base: float, game: float, **values: object) -> Speed:
    """A machine that is so much slower on small graphs, and twice that on large ones."""
    known = {
        "machine": machine.name(),
        "torch": versions()["torch"],
        "device": "cpu",
        "measured": time.time(),
    }
    parts = {"small": Slower(base=base, game=game), "large": Slower(base=2 * base, game=2 * game)}
    return Speed(**{**known, **parts, **values})


# --- from the speed of a machine to the time of a run


@pytest.mark.parametrize(("sizes", "times"), [(UMLS, 1), (WN18RR, 2)])
def test_each_part_of_a_run_takes_as_long_as_the_machine_takes_for_it(sizes, times):
    config = Config(epochs=100, warmup_epochs=30, batch_size=5_000)
    plain, slow = predict(config, sizes), predict(config, sizes, speed_of(2.0, 5.0))
    assert (slow.memory_bytes, slow.disk_bytes) == (plain.memory_bytes, plain.disk_bytes)
    in_game = 70 * plain.epoch_seconds
    expected = 2 * times * (plain.run_seconds - in_game) + 5 * times * in_game
    assert slow.run_seconds == pytest.approx(expected)
    assert slow.epoch_seconds == pytest.approx(5 * times * plain.epoch_seconds)
    # Samplers without a game know nothing of how fast it is.
    for sampler in ("uniform", "nscaching", "mcns"):
        other = config.with_values(sampler=sampler)
        slow, plain = predict(other, sizes, speed_of(2.0, 5.0)), predict(other, sizes)
        assert slow.run_seconds == pytest.approx(2 * times * plain.run_seconds)
        assert slow.epoch_seconds == pytest.approx(2 * times * plain.epoch_seconds)


# --- the file


def the_file() -> Path:
    (path,) = (Path(os.environ["DANS_CACHE_DIR"]) / "speed").glob("*.json")
    return path


def test_what_was_measured_is_found_again_on_this_machine_alone(monkeypatch):
    assert speed.here() is None
    told = speed_of(1.5, 2.5)
    speed.keep(told)
    assert speed.here() == speed.here(1) == speed.here(device="cpu") == told
    assert speed.here(device="cuda:0 (A)") is None and speed.here(threads=3) is None
    monkeypatch.setenv(machine.THREADS_VARIABLE, "3")
    assert speed.here() is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"machine": 3}', "\x00" * 50, "{}"],
)
def test_a_file_of_another_shape_is_passed_over_and_the_log_says_so(text, caplog):
    speed.keep(speed_of(1.0, 1.0))
    the_file().write_text(text)
    assert speed.here() is None and "ignored: " in caplog.text
    speed.keep(speed_of(3.0, 1.0))
    assert speed.here().small.base == 3.0


@pytest.mark.parametrize(
    ("name", "value"), [("machine", "another"), ("torch", "1.0"), ("small", {"base": -1.0, "game": 1.0})]
)
def test_a_file_of_another_machine_or_torch_is_passed_over(name, value, caplog):
    caplog.set_level(logging.INFO)
    speed.keep(speed_of(1.0, 1.0))
    stored = json.loads(the_file().read_text())
    the_file().write_text(json.dumps({**stored, name: value}))
    assert speed.here() is None and "ignored: " in caplog.text


def test_a_cache_that_cannot_be_written_costs_a_line_in_the_log(tmp_path, caplog):
    (tmp_path / "cache").write_text("a file where the folder would be")
    speed.keep(speed_of(1.0, 1.0))
    assert "cannot be written" in caplog.text and speed.here() is None


# --- practice


@pytest.fixture
def short(monkeypatch):
    """The least that can be timed."""
    for name, entities in (("SMALL", 20), ("LARGE", 600)):
        few = practice.Exercise(entities, 3, 30, base_steps=2, game_steps=3, settings={"dim": 8})
        monkeypatch.setattr(practice, name, few)


@pytest.mark.parametrize("exercise", [practice.SMALL, practice.LARGE])
def test_an_exercise_is_whole_epochs_of_one_step_in_one_regime(exercise):
    kg, config = exercise.graph(), exercise.config()
    sizes = Sizes.of(kg)
    assert (sizes.entities, sizes.relations, sizes.train) == (
        exercise.entities, exercise.relations, exercise.triplets
    )  # fmt: skip
    assert costs.Steps(config, sizes).count == 1
    assert costs.are_sparse(config, sizes.entities) is (exercise is practice.LARGE)
    assert config.warmup_epochs == exercise.base_steps and min(exercise.base_steps, exercise.game_steps) > 1
    trainer = Trainer(kg, config)
    assert trainer.stages == ("encode", "base")
    assert exercise.graph().hash == kg.hash


def test_practice_keeps_what_it_measured_and_is_not_repeated_at_once(short, monkeypatch):
    practice.renew()
    first = speed.here(torch.get_num_threads())
    assert first.device == "cpu" and abs(first.measured - time.time()) < 600
    parts = [each for part in (first.small, first.large) for each in (part.base, part.game, part.share)]
    assert all(0 < each < math.inf for each in parts)
    practice.renew()
    assert speed.here(torch.get_num_threads()) == first
    for name in ("FRESH", "SOON"):
        monkeypatch.setattr(speed, name, -1.0)
    practice.renew()
    assert speed.here(torch.get_num_threads()).measured > first.measured


# Steps that a machine with two cores timed: seconds, and those in which the thread had the processor. Beside the first
# two hardly anything else ran; beside the others some seven processes wanted a core.
FREE = (Timed(0.0125, 0.0116), Timed(0.1537, 0.1468))
BUSY = (Timed(0.0497, 0.0167), Timed(0.3986, 0.0945))


def test_a_practice_beside_other_work_is_slow_and_provisional():
    free, busy = (practice.compared(timed, (0.01, 0.05)) for timed in (FREE, BUSY))
    assert (free.base, free.game) == pytest.approx((1.25, 3.074)) and not free.provisional
    assert (busy.base, busy.game) == pytest.approx((4.97, 7.972)) and busy.provisional
    # The piece that waited longest tells, as it may be one of two.
    assert busy.share == pytest.approx(0.0945 / 0.3986)
    for mixed in (FREE[0], BUSY[1]), (BUSY[0], FREE[1]):
        assert practice.compared(mixed, (0.01, 0.05)).provisional
    # Clocks of two kinds may differ by a little.
    assert practice.compared((Timed(1.0, 1.001), Timed(1.0, 1.002)), (1.0, 1.0)).share == 1.0


@pytest.mark.parametrize("part", ["small", "large"])
def test_what_is_provisional_is_measured_again_soon(part):
    def known(share: float, age: float) -> Speed:
        slower = Slower(base=3.0, game=3.0, share=share)
        return speed_of(1.0, 1.0, measured=time.time() - age, **{part: slower})

    between = (speed.SOON + speed.FRESH) / 2
    assert speed.is_fresh(known(0.95, between)) and speed.is_fresh(known(0.3, speed.SOON / 2))
    assert not speed.is_fresh(known(0.3, between)) and not speed.is_fresh(known(0.95, 2 * speed.FRESH))


def test_on_a_machine_that_stays_busy_it_is_measured_ever_more_rarely(short, monkeypatch):
    monkeypatch.setattr(speed, "STEADY", 2.0)
    practice.renew()
    first = speed.here(torch.get_num_threads())
    assert first.provisional and first.disturbed == first.measured
    shown = {"small": Slower(base=3.0, game=3.0, share=0.3)}
    for disturbed, lasts in ((0.0, speed.SOON), (600.0, 600.0), (1e6, speed.FRESH)):
        for age, fresh in ((lasts - 20, True), (lasts + 20, False)):
            measured = time.time() - age
            each = speed_of(1.0, 1.0, measured=measured, **shown).model_copy(
                update={"disturbed": measured - disturbed}
            )
            assert speed.is_fresh(each) is fresh
    # The next one knows since when, and one that nothing disturbed forgets it.
    early = first.model_copy(update={"measured": first.measured - 500, "disturbed": first.measured - 700})
    speed.keep(early)
    practice.renew()
    found = speed.here(torch.get_num_threads())
    assert found.measured >= first.measured and found.disturbed == early.disturbed
    monkeypatch.setattr(speed, "STEADY", 0.0)
    monkeypatch.setattr(speed, "FRESH", -1.0)
    practice.renew()
    assert speed.here(torch.get_num_threads()).disturbed is None


def test_a_busy_machine_is_promised_slow_and_its_free_time_told():
    config, free, busy = Config(), speed_of(1.0, 1.0), Slower(base=4.0, game=4.0, share=0.25)
    speed.keep(free)
    alone = expected(config)
    speed.keep(speed_of(1.0, 1.0, small=busy))
    told = expected(config)
    assert (alone.basis, told.basis) == ("practice", "busy")
    assert told.need.run_seconds == pytest.approx(4 * alone.need.run_seconds)
    assert told.free_seconds == pytest.approx(alone.free_seconds) == pytest.approx(alone.need.run_seconds)


def test_practice_that_is_interrupted_keeps_nothing(short):
    asked = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 6

    practice.renew(stop)
    assert len(asked) == 7 and speed.here(torch.get_num_threads()) is None
    with pytest.raises(practice.Interrupted):
        practice.measure(lambda: True)


def test_practice_leaves_the_numbers_of_a_run_as_they_were(short, nations):
    def losses() -> list[float]:
        trainer = Trainer(nations, Config(epochs=2, warmup_epochs=1, dim=8))
        return [value for _ in range(7) for value in trainer.step().values.values()]

    before = losses()
    practice.measure()
    assert losses() == before


# --- finished runs


def finished(run_id: str, config: Config, times: float, **meta: object) -> Run:
    """A run on nations that took so many times as long as the formulas say."""
    kg = KnowledgeGraph.load("nations")
    seconds = times * predict(config, Sizes.of(kg)).run_seconds
    with RunWriter.create(
        os.environ[RUNS_DIR_VARIABLE], run_id, config, kg.name, kg.hash, "nations"
    ) as writer:
        writer.write_status(str(meta.pop("state", "finished")), seconds=seconds)
        stored = json.loads((writer.path / "config.json").read_text())
        (writer.path / "config.json").write_text(json.dumps(stored | meta))
        return writer.run


def expected(config: Config) -> Expected:
    kg = KnowledgeGraph.load("nations")
    return expect(config, Sizes.of(kg), kg.hash, list_runs())


def test_finished_runs_of_the_same_kind_here_are_the_best_evidence(nations):
    config = Config(epochs=100)
    by_formulas = predict(config, Sizes.of(nations))
    assert expected(config) == Expected(by_formulas, "formulas")
    speed.keep(speed_of(2.0, 3.0))
    practised = expected(config)
    assert practised == Expected(predict(config, Sizes.of(nations), speed.here()), "practice")
    finished("a-run", config.with_values(seed=1), 4.0)
    told = expected(config)
    assert told.basis == "runs" and told.need.run_seconds == pytest.approx(4 * by_formulas.run_seconds)
    share = told.need.run_seconds / practised.need.run_seconds
    assert told.need.epoch_seconds == pytest.approx(share * practised.need.epoch_seconds)
    # Twice the epochs of such a run take about twice as long.
    longer = expected(config.with_values(epochs=200)).need.run_seconds
    assert longer == pytest.approx(share * predict(
        config.with_values(epochs=200), Sizes.of(nations), speed.here()
    ).run_seconds)  # fmt: skip


def test_the_nearest_of_them_tell():
    config = Config(epochs=100)
    for number, (epochs, times) in enumerate(
        [(100, 2.0), (90, 3.0), (120, 4.0), (1_000, 40.0), (5_000, 50.0)]
    ):
        finished(f"run-{number}", config.with_values(epochs=epochs), times)
    assert expected(config).need.run_seconds == pytest.approx(
        3 * predict(config, Sizes.of(KnowledgeGraph.load("nations"))).run_seconds
    )


@pytest.mark.parametrize(
    "other",
    [
        {"machine": "another"},
        {"machine": ""},
        {"machine": f"another, then {machine.name()}"},
        {"hash": "another"},
        {"device": "cuda:0 (A)"},
        {"versions": {"torch": "1.0"}},
        {"versions": {}},
        {"state": "stopped"},
    ],
)
def test_runs_of_other_machines_data_or_fates_tell_nothing(other):
    speed.keep(speed_of(2.0, 3.0))
    config = Config(epochs=100)
    finished("a-run", config, 4.0, **other)
    finished("rotate", config.with_values(decoder="rotate"), 4.0)
    finished("uniform", config.with_values(sampler="uniform"), 4.0)
    assert expected(config).basis == "practice"


# --- in the terminal


def test_the_terminal_times_the_machine_before_a_run_that_is_worth_it(short, monkeypatch, capsys):
    from dans_lab.cli import train

    run = ["train", "--dataset", "nations", "--epochs", "1", "--set", "dim=8"]
    assert main(run) == 0
    assert speed.here(1) is None
    monkeypatch.setattr(train, "_WORTH_TIMING", 0.0)
    assert main([*run, "--json"]) == 0
    assert speed.here(1) is None, "a machine that reads is told nothing of the time"
    assert main(run) == 0
    assert speed.here(1) is not None
    assert capsys.readouterr().out.count("needs about ") == 2


def test_what_a_page_asks_needs_no_torch():
    code = "import sys; import dans_lab.budget.experience; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[2])
