"""What a process that trains sets for itself: threads, precision, memory that it keeps, and how it takes signals."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from dans_data.errors import InputError
from dans_lab.runs.machine import THREADS_VARIABLE

PRECISIONS = {"float32": "highest", "tf32": "high"}
"""What may be asked for, and what torch calls it.

TF32 rounds the factors of a GPU's products to 10 bits and adds in float32. Half precision is not offered: DistMult and
ComplEx rank by differences of scores that bf16's 7 bits make ties, and a run would have to say where it was not used.
"""

_LOWERING = {
    "NVIDIA_TF32_OVERRIDE": ("", "0"),
    "ONEDNN_DEFAULT_FPMATH_MODE": ("", "STRICT"),
    "DNNL_DEFAULT_FPMATH_MODE": ("", "STRICT"),
}
"""Variables by which libraries lower the precision unseen by torch, and their values that do not."""

# Names and numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEEP = 1 << 30

# Sizes of products for which oneDNN keeps what it prepared.
_PRODUCTS = 64


def prepare(threads: int | None = None, precision: str = "float32") -> None:
    """Use so many threads for tensors, products of this precision, and keep freed memory.

    For programs: it holds for the whole process. Without a number the threads are those of `DANS_THREADS`, else one, as
    one run has a core.

    Raises:
        InputError: for a number of threads that is not whole or not from 1 to 1024, for a precision that is none of
            `PRECISIONS`, and for float32 where a variable of the environment would lower it.
    """
    text = os.environ.get(THREADS_VARIABLE, "1") if threads is None else str(threads)
    if not (text.isdecimal() and 1 <= int(text) <= 1024):
        name = THREADS_VARIABLE if threads is None else "threads"
        raise InputError(f"{name} = {text!r}: must be a whole number, at least 1 and at most 1024")
    torch.set_num_threads(int(text))
    _set_precision(precision)
    _keep_freed_memory()
    _forget_old_products()


def precision() -> str:
    """The precision of products that is in force in this process, as in `PRECISIONS`, whoever set it."""
    ours = {theirs: name for name, theirs in PRECISIONS.items()}
    return ours.get(torch.get_float32_matmul_precision(), "bf16")


def _set_precision(asked: str) -> None:
    """Say all of it, as a process may have inherited anything."""
    if asked not in PRECISIONS:
        half = "; half precision is not offered" if asked in ("bf16", "bfloat16", "fp16", "float16") else ""
        raise InputError(f"precision = {asked!r}: must be {' or '.join(PRECISIONS)}{half}")
    for variable, harmless in _LOWERING.items():
        value = os.environ.get(variable, "")
        if asked == "float32" and value.upper() not in harmless:
            raise InputError(
                f"{variable}={value} in the environment lowers the precision below float32; unset it"
            )
    torch.set_float32_matmul_precision(PRECISIONS[asked])
    torch.backends.cuda.matmul.allow_tf32 = asked == "tf32"
    torch.backends.cudnn.allow_tf32 = asked == "tf32"


def _keep_freed_memory() -> None:
    """Tell glibc to keep up to 1 GiB of freed memory instead of returning it to the system.

    By default it returns what a step frees and gets it back page by page in the next one: with the GAN on
    UMLS 3,000 pages an epoch, up to a fifth of its time. Nothing is done where there is no glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        # Older versions refuse more than 32 MiB, and a threshold of its own for trimming alone would make it worse.
        if not mallopt(_M_MMAP_THRESHOLD, _KEEP):
            mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        mallopt(_M_TRIM_THRESHOLD, _KEEP)


def give_memory_back() -> None:
    """Return to the system what was freed until now, where glibc can; what is freed later is kept as before."""
    if sys.platform.startswith("linux") and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def give_way(steps: int) -> None:
    """Let what people wait for have the processor first, by so many steps of niceness, where a system has them.

    Linux may share the processor out by sessions before it looks at processes, and then a process with a session of its
    own has to say it for that, too.
    """
    if not hasattr(os, "nice"):
        return
    os.nice(steps)
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(steps))


def _forget_old_products() -> None:
    """Let oneDNN keep what it prepared for few sizes of products, unless the environment says how many.

    It keeps 1,024 by default, and with the GAN on a large graph each step has other numbers of queries and heads:
    *measured* on WN18RR, 15 MB a step, 2.7 GB after 64 steps instead of 1.4, and no time is saved. A step on a small
    graph, whose sizes come back, takes no longer with 64. Both are read when the first product is made.
    """
    for variable in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(variable, str(_PRODUCTS))


class StopFlag:
    """Whether SIGINT or SIGTERM asked this process to end after the current stage."""

    def __init__(self) -> None:
        self.asked = False
        self.told: Callable[[], None] | None = None

    def install(self) -> None:
        """Take over both signals; the second one ends the process at once, leaving the last checkpoint."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        if self.told is not None:
            self.told()
