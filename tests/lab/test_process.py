"""What a process that trains sets for itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dans_core import InputError
from dans_lab.runs import machine, process

ROOT = Path(__file__).resolve().parents[2]

_FAULTS = """
import resource, sys
import numpy as np
from dans_lab.runs import process
if sys.argv[1] == "keep":
    process.prepare()

def step():
    blocks = [np.ones(1_000_000) for _ in range(8)]

for _ in range(5):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is on Linux")
def test_a_step_finds_its_memory_again():
    faults = {
        how: int(subprocess.run([sys.executable, "-c", _FAULTS, how], capture_output=True, check=True).stdout)
        for how in ("return", "keep")
    }
    assert faults["keep"] < faults["return"] / 20


@pytest.mark.parametrize("threads", ["0", "-1", "two", "", "99999"])
def test_threads_are_a_number(threads, monkeypatch):
    monkeypatch.setenv(machine.THREADS_VARIABLE, threads)
    with pytest.raises(InputError, match=machine.THREADS_VARIABLE):
        process.prepare()


@pytest.mark.skipif(not hasattr(os, "nice"), reason="this system has no niceness")
@pytest.mark.parametrize("of_its_own", [True, False])
def test_who_gives_way_says_so_for_its_session_where_it_has_one(of_its_own: bool) -> None:
    code = (
        "import os, pathlib\n"
        "from dans_lab.runs.process import give_way\n"
        "group = pathlib.Path('/proc/self/autogroup')\n"
        "was, before = os.nice(0), group.read_text() if group.exists() else ''\n"
        "give_way(7)\n"
        "same = (group.read_text() if group.exists() else '') == before\n"
        "print(os.nice(0) - was, same, os.access(group, os.W_OK))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        start_new_session=of_its_own,
    )
    steps, as_before, writable = done.stdout.split()
    assert int(steps) == min(7, 19 - os.nice(0))
    assert as_before == str(not (of_its_own and writable == "True"))
