"""Freed memory stays with the process, so that the next step need not ask for its pages again."""

from __future__ import annotations

import subprocess
import sys

import pytest

_FAULTS = """
import resource, sys
import numpy as np
from dans_core.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()

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
