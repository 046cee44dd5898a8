"""The process beside the server: what goes there comes back, and it neither fails silently nor outlives its user."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pytest

from dans_app.server import helper, inspecting
from dans_app.server.helper import Busy, HelperProcess, Turn
from dans_data.errors import InputError
from tests.waiting import PATIENCE, wait_for

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def echo() -> HelperProcess:
    return HelperProcess("tests.echo")


@pytest.mark.parametrize("do", ["", "print"])
def test_arrays_come_back_as_they_went(echo, do):
    sent = {"points": np.random.default_rng(0).normal(size=(2000, 7)).astype(np.float32), "name": "a⁻¹"}
    got = echo.ask(do=do, **sent)
    np.testing.assert_array_equal(got["points"], sent["points"])
    assert got["points"].dtype == np.float32 and str(got["name"]) == "a⁻¹"


def test_failures_come_back_in_words_and_end_nothing(echo):
    first = int(echo.ask()["pid"])
    with pytest.raises(InputError, match=r"^no such thing$"):
        echo.ask(do="mistake")
    with pytest.raises(RuntimeError, match=r"^three points are too few$"):
        echo.ask(do="fail")
    assert int(echo.ask()["pid"]) == first


def test_where_it_dies_another_takes_its_place(echo):
    first = int(echo.ask()["pid"])
    with pytest.raises(RuntimeError, match="exit code 3"):
        echo.ask(do="die")
    assert int(echo.ask()["pid"]) != first


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, BadZipFile])
def test_an_answer_that_was_not_read_is_never_given_to_a_later_request(monkeypatch, error):
    read, broken = helper._read, iter([error])

    def once_broken(stream):
        for trouble in broken:
            raise trouble
        return read(stream)

    echo = HelperProcess("tests.echo")
    first = int(echo.ask()["pid"])
    monkeypatch.setattr(helper, "_read", once_broken)
    with pytest.raises(error):
        echo.ask(number=1)
    got = echo.ask(number=2)
    assert int(got["number"]) == 2 and int(got["pid"]) != first
    assert not Path(f"/proc/{first}").exists(), "it goes on"


def test_a_process_that_cannot_be_started_is_told_in_words(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(
        RuntimeError, match=r"^no process could be started for it: No such file or directory$"
    ):
        HelperProcess("tests.echo").ask()


def test_it_is_another_process_as_courteous_as_it_says(echo):
    process = int(echo.ask()["pid"])
    assert process != os.getpid()
    assert os.getpriority(os.PRIO_PROCESS, process) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 3)


def test_it_ends_with_the_server_even_if_that_is_killed():
    script = (
        "import os, signal\n"
        "from dans_app.server.helper import HelperProcess\n"
        "print(int(HelperProcess('tests.echo').ask()['pid']), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=PATIENCE
    )
    folder = Path(f"/proc/{int(done.stdout)}")
    wait_for(lambda: has_ended(folder), "the end of the process")


def has_ended(folder: Path) -> bool:
    """Whether the process of this folder of /proc is no more, or was not asked for its end yet."""
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_warm_process_of_inspections_has_imported_torch(monkeypatch):
    """Else the first inspection would wait some seconds for that."""
    process = HelperProcess("dans_app.server.inspecting")
    monkeypatch.setattr(inspecting, "_PROCESS", process)
    inspecting.warm_up()
    assert "libtorch" in Path(f"/proc/{process._process.pid}/maps").read_text()


def test_those_who_wait_come_in_their_order_and_no_more_than_allowed():
    turn, order, waiting = Turn(waiting=3, patience=PATIENCE), [], []

    def wait(name: int) -> None:
        with turn.taken():
            order.append(name)

    with turn.taken():
        for name in range(3):
            waiting.append(threading.Thread(target=wait, args=(name,)))
            waiting[-1].start()
            wait_for(lambda: len(turn._line) == len(waiting) + 1, "that it waits")
        with pytest.raises(Busy, match=r"^3 others are waiting"), turn.taken():
            pass
        with turn.at_once() as free:
            assert not free
    for thread in waiting:
        thread.join()
    assert order == [0, 1, 2]
    with turn.at_once() as free:
        assert free


def test_no_one_waits_for_ever():
    turn = Turn(waiting=3, patience=0.01)
    with turn.taken(), pytest.raises(Busy, match="as others asked first"), turn.taken():
        pass
    with turn.taken():
        pass


def test_an_answer_that_takes_too_long_ends_the_process():
    slow = HelperProcess("tests.echo", seconds=PATIENCE)
    first = int(slow.ask()["pid"])
    slow._seconds = 0.05
    with pytest.raises(TimeoutError):
        slow.ask(do="wait", seconds=PATIENCE)
    slow._seconds = PATIENCE
    assert int(slow.ask()["pid"]) != first


def test_a_process_that_no_one_asks_any_more_ends():
    resting = HelperProcess("tests.echo", idle=PATIENCE)
    helper.rest()
    first = int(resting.ask()["pid"])
    helper.rest()
    assert Path(f"/proc/{first}").exists()
    resting._idle = 0.0
    helper.rest()
    assert not Path(f"/proc/{first}").exists()
    assert int(resting.ask()["pid"]) != first
