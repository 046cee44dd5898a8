"""Which machine this is, as far as a run's time hangs on it: processor, instruction set, threads. Without torch."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

THREADS_VARIABLE = "DANS_THREADS"
"""Threads for tensors of a process that trains; one where it is not set."""

_CPUINFO = Path("/proc/cpuinfo")

# What torch asks of a processor before it uses its kernels for an instruction set, and the variable that overrules it.
_NEEDED = {
    "AVX512": {"avx512f", "avx512vl", "avx512bw", "avx512dq", "fma"},
    "AVX2": {"avx2", "fma"},
}
_CAPABILITY_VARIABLE = "ATEN_CPU_CAPABILITY"


def processor() -> str:
    """The processor's name, which several may share on a rented machine."""
    return _fields().get("model name") or platform.processor() or platform.machine()


def instruction_set() -> str:
    """What torch's kernels use of an x86 processor: AVX512, AVX2 or DEFAULT; elsewhere the kind of processor."""
    asked = os.environ.get(_CAPABILITY_VARIABLE, "").upper()
    if asked in (*_NEEDED, "DEFAULT"):
        return asked
    flags = set(_fields().get("flags", "").split())
    if not flags:
        return platform.machine()
    return next((name for name, needed in _NEEDED.items() if needed <= flags), "DEFAULT")


def cores() -> int:
    """How many runs this process may have trained at the same time, one on each core that it is given."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def name(threads: int | None = None) -> str:
    """This machine with so many threads (None: those of a new process), such as "AMD EPYC 25/17/1, AVX512, 1 thread".

    The numbers are family, model and stepping. Runs of the same settings on machines of one name take equally long.
    """
    numbers = [_fields().get(field) for field in ("cpu family", "model", "stepping")]
    kind = " ".join([processor(), "/".join(filter(None, numbers))]).strip()
    count = os.environ.get(THREADS_VARIABLE, "1") if threads is None else str(threads)
    return f"{kind}, {instruction_set()}, {count} thread{'s' * (count != '1')}"


@cache
def _fields() -> dict[str, str]:
    """What the system tells of the first processor; nothing where it is not Linux."""
    if not _CPUINFO.is_file():
        return {}
    first = _CPUINFO.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
