"""What a process that trains sets for itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dans_core import InputError
from dans_lab.runs import machine, process

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
