"""What a run costs before it starts, and whether this machine can pay it; nothing here needs torch.

The formulas are in `costs`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from dans_core.config import Config, matters
from dans_data.errors import InputError
from dans_data.words import bytes_in_words, epoch_in_words, seconds_in_words
from dans_lab.budget import costs
from dans_lab.budget.sizes import Sizes
from dans_lab.budget.speed import Slower, Speed

MEMORY_VARIABLE = "DANS_MEMORY_GB"
"""Gigabytes that a run may use, instead of those that are free."""

NEARLY = 0.8
"""Share of the free memory from which on a run is warned of."""

# What may be lowered in a run that needs too much, and how far.
_LEAST = {"batch_size": 1_000, "negatives": 4, "dim": 16, "layers": 1, "condition_chunk": 256}


# --- what a run needs -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Need:
    """What a run takes: peak memory of its process and disk in bytes, and seconds of training on one core.

    `epoch_seconds` is an epoch with the run's own sampler, after any warm-up; `run_seconds` are all epochs, rankings,
    measurements and snapshots.
    """

    memory_bytes: int
    disk_bytes: int
    epoch_seconds: float
    run_seconds: float

    def __str__(self) -> str:
        return (
            f"about {bytes_in_words(self.memory_bytes)} of memory, {epoch_in_words(self.epoch_seconds)} an epoch and "
            f"{seconds_in_words(self.run_seconds)} in all on one core"
        )

    def taking(self, times: float) -> Need:
        """The same, taking so many times as long."""
        return replace(self, epoch_seconds=times * self.epoch_seconds, run_seconds=times * self.run_seconds)


def predict(config: Config, sizes: Sizes, speed: Speed | None = None) -> Need:
    """What a run with these settings will take on a graph of these sizes.

    `speed` is that of the machine; None stands for the one on which the formulas were measured.
    """
    slower = speed.of(config, sizes) if speed else Slower()
    steps = costs.Steps(config, sizes)
    step = costs.base_seconds(config, sizes, steps) + costs.own_seconds(config, steps)
    played = config.epochs - (config.warmup_epochs if config.waits else 0) if config.fakes else 0
    in_game = steps.count * played * step
    other = costs.run_seconds(config, sizes, steps) - in_game
    return Need(
        memory_bytes=round(costs.memory(config, sizes, steps)),
        disk_bytes=round(costs.disk(config, sizes, steps)),
        epoch_seconds=(slower.game if config.fakes else slower.base) * steps.count * step,
        run_seconds=slower.base * other + slower.game * in_game,
    )


# --- what there is --------------------------------------------------------------------------------------------------


def free_memory(root: Path = Path("/")) -> int | None:
    """Bytes that a new process may take here: what the system calls available, or a control group still allows.

    `DANS_MEMORY_GB` stands instead of both. None where nothing tells. `root` is where /proc and /sys are looked for.

    Raises InputError for a `DANS_MEMORY_GB` that is no number above 0.
    """
    if (text := os.environ.get(MEMORY_VARIABLE)) is not None:
        try:
            asked = float(text)
        except ValueError:
            asked = math.nan
        if not 0 < asked < math.inf:
            raise InputError(
                f"{MEMORY_VARIABLE} = {text!r}: must be a number of gigabytes above 0, such as 4"
            )
        return int(asked * 1e9)
    found = [free for free in (_of_system(root), *_of_groups(root)) if free is not None]
    return min(found, default=None)


def _of_system(root: Path) -> int | None:
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _of_groups(root: Path) -> Iterator[int]:
    """What each control group around this process still allows, of either version; files can be given up."""
    for line in _lines(root / "proc/self/cgroup"):
        _, kinds, name = line.split(":", 2)
        if kinds not in ("", "memory") and "memory" not in kinds.split(","):
            continue
        base = root / "sys/fs/cgroup" / ("memory" if kinds else "")
        limit, used, files = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            if kinds
            else ("memory.max", "memory.current", "inactive_file")
        )
        inner = PurePosixPath(name.lstrip("/"))
        for group in (inner, *inner.parents):
            most, now = (_number(base / group / file) for file in (limit, used))
            if most is not None and now is not None:
                stats = dict(
                    pair for line in _lines(base / group / "memory.stat") if len(pair := line.split()) == 2
                )
                yield max(0, most - now + int(stats.get(files, 0)))


def _number(file: Path) -> int | None:
    """The number in a file; None for "max" and for no file."""
    text = "".join(_lines(file)).strip()
    return int(text) if text.isdecimal() else None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []


# --- whether the one fits the other ---------------------------------------------------------------------------------


def too_much(
    config: Config, sizes: Sizes, free: int | None, name: Callable[[str], str] = lambda name: name
) -> str | None:
    """Why a run cannot be started with so many bytes free, and what to lower, in one sentence; None where it fits.

    `name` says how a setting is called where the sentence is read.
    """
    need = predict(config, sizes).memory_bytes
    if free is None or need <= free:
        return None
    words = f"this run needs about {bytes_in_words(need)} of memory and {bytes_in_words(free)} are free here"
    return f"{words}; {_advice(config, sizes, free, name)}"


def tight(config: Config, sizes: Sizes, free: int | None) -> str | None:
    """A warning, in one sentence, for a run that nearly fills so many bytes; None where there is room."""
    need = predict(config, sizes).memory_bytes
    if free is None or not NEARLY * free < need <= free:
        return None
    return f"this run needs about {bytes_in_words(need)} of the {bytes_in_words(free)} of memory that are free here"


def check(
    config: Config, sizes: Sizes, name: Callable[[str], str] = lambda name: name, processes: int = 1
) -> str | None:
    """A warning where the run nearly fills the memory that is free here, else None.

    Of several processes that train it here each has a share of that. Raises InputError where it needs more.
    """
    free = free_memory()
    if free is not None:
        free //= processes
    if problem := too_much(config, sizes, free, name):
        raise InputError(problem)
    return tight(config, sizes, free)


def _advice(config: Config, sizes: Sizes, free: int, name: Callable[[str], str]) -> str:
    """What to lower so that the run fits: each setting that does it alone, or else all together."""
    smaller = {setting: _lowered(config, sizes, free, (setting,)) for setting in _LEAST}
    # A setting that is hardly recognised afterwards is no way out.
    alone = [
        f"{name(setting)} to {values[setting]:,}"
        for setting, values in smaller.items()
        if values and values[setting] * 8 >= min(getattr(config, setting), 2 * sizes.train)
    ]
    if alone:
        return f"lower {' or '.join(alone)}"
    if together := _lowered(config, sizes, free, tuple(_LEAST)):
        words = [f"{name(setting)} to {value:,}" for setting, value in together.items()]
        return f"lower {', '.join(words[:-1])} and {words[-1]}, all together"
    return "no smaller settings would fit either"


def _lowered(config: Config, sizes: Sizes, free: int, names: tuple[str, ...]) -> dict[str, int]:
    """The first values of these settings, all halved as often as it takes, with which the run fits; none without."""
    values = {name: getattr(config, name) for name in names if matters(name, config.sampler)}
    if "batch_size" in values:
        values["batch_size"] = min(config.batch_size, sizes.train)
    while halves := {
        name: half for name, value in values.items() if (half := _half(name, value, config)) < value
    }:
        values = values | halves
        smaller = config.with_values(**values, warmup_epochs=config.warmup_epochs)
        if predict(smaller, sizes).memory_bytes <= free:
            return {name: value for name, value in values.items() if value != getattr(config, name)}
    return {}


def _half(name: str, value: int, config: Config) -> int:
    """Half of a setting, even for `dim`; the value itself where half were too little to be of use."""
    half = 2 * (value // 4) if name == "dim" else value // 2
    least = max(_LEAST[name], 2 * config.pathway_fakes + 1) if name == "negatives" else _LEAST[name]
    return half if half >= least else value
