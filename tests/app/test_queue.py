"""The queue of a shared server: who is next, what is said of it, and what is over a limit."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dans_app.server import graph, jobs
from dans_app.server.queue import Asked, Going, places, turns
from dans_core.config import Config
from dans_data.errors import InputError
from dans_data.limits import Limits
from dans_lab import cli
from dans_lab.budget.sizes import Sizes
from dans_lab.runs.run import Run
from dans_lab.runs.writer import RunWriter
from dans_lab.sharing import limits
from dans_lab.sharing.codes import Code
from dans_lab.sharing.limits import Allowance
from dans_lab.sharing.settings import Sharing, share
from tests.browser.server import workers
from tests.waiting import wait_for

CONFIG = Config(decoder="distmult", sampler="uniform", epochs=3, dim=8)


def waiting(*owners: str, seconds: float = 60.0) -> list[Asked]:
    """One run of each of these, in this order."""
    return [Asked(f"{owner}{number}", owner, seconds, number) for number, owner in enumerate(owners)]


def order(found: list[tuple[Asked, float]]) -> list[str]:
    return [asked.run_id for asked, _ in found]


def test_who_asks_for_ten_waits_for_those_who_ask_for_one():
    asked = waiting("a", "a", "a", "a", "b", "c")
    assert order(turns([], asked, 1, {})) == ["a0", "b4", "c5", "a1", "a2", "a3"]
    # Whose runs have all cores comes after those who have none.
    assert order(turns([Going("a", 9), Going("a", 5)], asked, 2, {"a": 1}))[:2] == ["b4", "c5"]
    # Of two who have nothing, the one who was served longest ago.
    assert order(turns([], waiting("a", "b"), 1, {"a": 7, "b": 3})) == ["b1", "a0"]


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_thirty_with_one_run_each_come_as_they_did(cores):
    asked = waiting(*(f"student-{number}-" for number in range(30)))
    found = turns([], asked, cores, {})
    assert order(found) == [each.run_id for each in asked]
    assert [seconds for _, seconds in found] == [60.0 * (number // cores) for number in range(30)]


def test_the_time_until_a_turn_is_that_of_those_before():
    found = places(turns([Going("x", 30), Going("y", 90)], waiting("a", "b", "c"), 2, {}))
    assert [(each.place, each.of, each.seconds) for each in found.values()] == [
        (1, 3, 30),
        (2, 3, 90),
        (3, 3, 90),
    ]
    assert str(found["a0"]).startswith("Waits for a free core, 1 of 3 in the queue: it starts in about 30 s")
    paused = places(turns([Going("x", math.inf)], waiting("a", "b"), 1, {}))
    assert "no telling when it starts" in str(paused["b1"]) and "1 of 2" in str(paused["a0"])


# --- with processes ------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Iterator[Path]:
    """A runs folder of a shared server with one core for all, whose workers never come to train."""
    root, slow = tmp_path / "runs", tmp_path / "slow"
    root.mkdir()
    slow.mkdir()
    (slow / "sitecustomize.py").write_text("import time\nwhile True:\n    time.sleep(1)\n")
    monkeypatch.setenv("PYTHONPATH", str(slow))
    monkeypatch.setenv("DANS_RUNS_DIR", str(root))
    share(Sharing(codes={"student": Code.of("hello-class")}, limits=Allowance(runs=1, minutes=10)))
    yield root
    share(None)
    for process in workers(root):
        os.kill(process, signal.SIGKILL)


def asked_of(pool: jobs.Pool, root: Path, name: str, owner: str) -> Run:
    """A run that a visitor started."""
    kg = graph.load("nations")
    with pool._turn:
        pool._begin(
            RunWriter.create(root, name, CONFIG, kg.name, kg.hash, "nations", owner=owner), 60.0, False
        )
    return Run(root / name)


def test_a_core_that_is_free_goes_to_who_has_none(folder):
    pool = jobs.Pool()
    first, second, third, other = (
        asked_of(pool, folder, name, name[0]) for name in ("a-one", "a-two", "a-three", "b-one")
    )
    assert pool.place(first) is None and [run.status.state for run in (first, other)] == ["queued", "queued"]
    said = {run.id: pool.place(run).place for run in (second, third, other)}
    assert said == {"b-one": 1, "a-two": 2, "a-three": 3}
    # What waits is held, so no one takes it for a run that was left alone, nor hands it to another worker.
    assert other.status.live and pool.place(other).of == 3
    assert pool.withdraw(second) and not pool.withdraw(first)
    assert second.status.state == "stopped" and pool.place(third).place == 2

    [process] = workers(folder)
    os.kill(process, signal.SIGKILL)
    wait_for(lambda: pool.place(other) is None, "the turn of b")
    assert first.status.state == "interrupted" and (other.path / "worker.lock").exists()
    assert pool.place(third).place == 1
    pool.close()
    assert third.status.state == "stopped" and third.status.reason.startswith("the server ended")


def test_a_run_that_has_had_its_time_is_asked_to_stop(folder):
    kg = graph.load("nations")
    for name, owner, seconds, stops in (
        ("long", "a", 601.0, True),
        ("short", "a", 599.0, False),
        ("teachers", "", 9_999.0, False),
    ):
        with RunWriter.create(folder, name, CONFIG, kg.name, kg.hash, "nations", owner=owner) as writer:
            writer.write_status("running", seconds=seconds)
            jobs._stop_what_had_its_time([writer.run], others_wait=False)
            assert writer.run.asked.stop is stops, name


# --- limits --------------------------------------------------------------------------------------------------------


def test_what_is_over_a_limit_gets_a_sentence():
    allowed, rest = limits.parse(limits.CLASSROOM, "triplets=9 minutes=5", "minutes=2")
    assert (allowed.minutes, allowed.epochs, rest) == (2, 300, "triplets=9")
    sizes = Sizes.of(graph.load("nations"))
    allowed.check(Config(epochs=300), sizes, 120)
    for config, most, seconds, said in (
        (Config(epochs=301), allowed, 1, "301 epochs are more than this server allows a student, 300"),
        (Config(epochs=1), Allowance(graph_triplets=10), 1, "lets students train on 10"),
        (Config(epochs=1), Allowance(graph_entities=10), 1, "has 14 entities"),
        (Config(epochs=1), allowed, 121, "gives a student's run 2 minutes"),
    ):
        with pytest.raises(InputError, match=said) as refused:
            most.check(config, sizes, seconds)
        assert len(str(refused.value)) < 300
    with pytest.raises(InputError, match="each student 2; wait for one to end, or stop it"):
        allowed.check_place(own=2, waiting=0)
    with pytest.raises(InputError, match="60 runs wait already"):
        allowed.check_place(own=0, waiting=60)
    with pytest.raises(InputError, match="has had the 2 minutes"):
        allowed.check_time(120)


@pytest.mark.parametrize(
    "text",
    [
        "epochs",
        "epochs=",
        "epochs=0",
        "epochs=-1",
        "epochs=1e3",
        f"epochs={'9' * 5_000}",
        "epoch=3",
        "=",
        "minutes=٣",
    ],
)
def test_what_is_no_limit_is_told(text, capsys):
    assert cli.main(["serve", "--limits", text]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "limit" in line and len(line) < 400


def test_limits_of_files_are_left_to_those_who_read_them(monkeypatch):
    _, rest = limits.parse("epochs=3 entities=7")
    monkeypatch.setenv("DANS_LIMITS", rest)
    assert Limits.from_environment().entities == 7
