"""Timing in turns on one thread: medians of calls that alternate, so that the noise of the machine hits all."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
# A case shorter than this is called again within its turn, in seconds.
_TURN = 0.2


_device: torch.device | None = None


def _wait() -> None:
    """Until the device has done its work: a GPU works on while Python goes ahead."""
    if _device is not None and _device.type == "cuda":
        import torch

        torch.cuda.synchronize(_device)


def one_thread(asked: str | torch.device = "cpu") -> torch.device:
    """Hold torch, and every process started from here on, to one thread, and do as a run of ours does.

    Returns the device that was asked for; from here on timed calls count until it has done its work.

    Raises:
        InputError: for a device that is not there.
    """
    for library in ("OMP", "MKL", "OPENBLAS"):
        os.environ[f"{library}_NUM_THREADS"] = "1"
    from dans_core.device import choose
    from dans_lab.runs import process

    global _device
    _device = choose(asked)
    process.prepare(1)
    return _device


def stderr() -> Console:
    """Where people read; standard output is for tables."""
    return Console(file=sys.stderr)


class Work:
    """How much of a benchmark is done, on a progress bar; amounts are rough seconds, only their ratios count."""

    def __init__(self, bar: Progress, total: float) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=total)

    def done(self, amount: float) -> None:
        """Count this much more as done."""
        self._bar.advance(self._task, amount)

    def now(self, text: str) -> None:
        """Say what is being measured."""
        self._bar.update(self._task, description=text)


class _TimeLeft(ProgressColumn):
    """Time left at the mean pace since the start; unknown until something is done."""

    def render(self, task: Task) -> Text:
        if task.finished:
            return Text(f"{timedelta(seconds=round(task.finished_time or 0))} in all")
        if not task.completed or task.elapsed is None or task.total is None:
            return Text("-:--:-- left")
        left = task.elapsed * (task.total - task.completed) / task.completed
        return Text(f"{timedelta(seconds=round(left))} left")


@contextmanager
def work(total: float) -> Iterator[Work]:
    """A progress bar on standard error over this much work."""
    columns = (TextColumn("{task.description}"), BarColumn(), _TimeLeft())
    with Progress(*columns, console=stderr()) as bar:
        yield Work(bar, total)


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    call()
    _wait()
    return time.perf_counter() - started


def processor_seconds(call: Callable[[], object]) -> float:
    """Seconds of the processor that one call takes, whatever else runs on the machine."""
    started = time.process_time()
    call()
    return time.process_time() - started


def alternate(
    cases: Mapping[str, Callable[[], T]],
    repeats: int,
    after_round: Callable[[], None] = lambda: None,
    check: Callable[[dict[str, T]], None] = lambda results: None,
) -> dict[str, list[float]]:
    """Seconds of each call: one round to warm up, then `repeats` rounds of every case, A B A B.

    In its turn a case is called until 0.2 s are over, so that short ones are not measured by a single call.
    `check` is given what the cases returned while they warmed up.
    """
    check({name: call() for name, call in cases.items()})
    _wait()
    after_round()
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name, call in cases.items():
            spent = 0.0
            while True:
                seconds[name].append(timed(call))
                spent += seconds[name][-1]
                if spent >= _TURN:
                    break
        after_round()
    return seconds


def peak_memory() -> int:
    """The most memory this process has held at once, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage counts what the process that started this one held.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def show_seconds(seconds: float) -> str:
    """With a unit, three digits."""
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:,.0f} s"


def show_ratio(theirs: float, ours: float) -> str:
    """How many times as long the peer takes, two digits: more than that is noise."""
    ratio = theirs / ours
    return f"{ratio:.1f}x" if ratio < 10 else f"{ratio:.0f}x"
