"""What a benchmark found, as Markdown, and its place in a file of results."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.timing import timed
from dans_lab.runs import machine

# The order of the sections in a file of results.
ORDER = (
    "layer",
    "epoch",
    "quality",
    "pykeen",
    "ranking",
    "app",
    "first-minute",
    "answers",
    "scaling",
    "ranks",
    "shards",
    "estimates",
    "soak",
)
ON_A_DEVICE = ("layer", "epoch", "quality", "ranking", "scaling")
"""The sections that can be measured on a GPU, too; each then stands behind the one of the CPU."""

_PREAMBLE = """# Measurements

Each section is written by its own command, `python -m benchmarks NAME --out FILE`, on the machine and with
the versions it names, and says how often and in which order things were timed. Where a section has ratios, read
them first: seconds belong to the machine. Since processors of one name differ, its instruction set, its caches and a
measured speed stand beside it: of a product of 1,560 × 100 by 100 × 100 float32 numbers on one thread.
"""
# For the notes of the sections that `timing.alternate` measures.
IN_TURNS = "one thread, all in turns in one process (A B A B …), so that the noise of the machine hits all"

# The choices, as the tables write them.
DECODERS = {"complex": "ComplEx", "distmult": "DistMult", "rotate": "RotatE"}
SAMPLERS = {"dans": "DANS", "uniform": "uniform"}

_OF_THE_APP = ("streamlit", "plotly", "playwright")
_PACKAGES = {
    "app": _OF_THE_APP,
    "first-minute": _OF_THE_APP,
    "estimates": ("torch",),
    "soak": ("streamlit", "torch"),
}
_PEERS = ("torch", "torch-geometric", "pykeen")


@dataclass(frozen=True)
class Section:
    """One benchmark's result.

    name     the command, which is also the section's place in the file
    note     one or two plain sentences: what was done, how often, and what the figures are
    rows     the cells as shown, one list a row, as long as `columns`
    records  the raw figures behind them, as JSON can hold them
    on       the device on which torch worked, in words
    """

    name: str
    title: str
    note: str
    columns: list[str]
    rows: list[list[str]]
    records: list[dict[str, Any]]
    on: str = "cpu"


def sentence_rows(sentences: Sequence[str], columns: Sequence[str]) -> list[list[str]]:
    """A row for each sentence, which stands in the first cell; the others are empty."""
    return [[sentence] + [""] * (len(columns) - 1) for sentence in sentences]


def not_run(size: float) -> str:
    """The cell of a peer that would hold this many bytes."""
    return f"not run: needs {size / 1e9:.2g} GB"


def environment(packages: Sequence[str]) -> str:
    """Date, processor and its speed, Python and the versions of these packages, in one line."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return f"{today}, {processor()}, Python {platform.python_version()}, {versions}"


@cache
def processor() -> str:
    """The processor, and what tells it from others of its name: "AMD EPYC (AVX2, L2 512K, L3 16M, 30 GFLOP/s)"."""
    import torch

    speed = f"{product_speed() / 1e9:.0f} GFLOP/s"
    told = ", ".join([torch.backends.cpu.get_cpu_capability(), *caches(), speed])
    return f"{machine.processor()} ({told})"


def caches(cpu: Path = Path("/sys/devices/system/cpu/cpu0")) -> list[str]:
    """The second and third level caches of the first core, as "L2 1024K"; empty where the system does not tell."""
    found = {}
    for folder in cpu.glob("cache/index*"):
        level, size = ((folder / name).read_text().strip() for name in ("level", "size"))
        if level in ("2", "3"):
            found[level] = f"L{level} {size}"
    return [found[level] for level in sorted(found)]


def product_speed() -> float:
    """Multiplications and additions a second of torch's product of 1,560 × 100 by 100 × 100 numbers on one thread."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    left, right = torch.rand(1560, 100), torch.rand(100, 100)
    seconds = statistics.median([timed(lambda: left @ right) for _ in range(200)])
    torch.set_num_threads(threads)
    return 2 * left.numel() * right.shape[1] / seconds


def render(section: Section) -> str:
    """The section as Markdown: title, environment, note, table."""
    on = "" if section.on == "cpu" else f", on {section.on}"
    return "\n".join(
        [
            f"## {section.title}{on}",
            "",
            f"{environment(_PACKAGES.get(section.name, _PEERS))}.",
            "",
            section.note,
            "",
            _line(section.columns),
            "|" + "---|" * len(section.columns),
            *map(_line, section.rows),
            "",
        ]
    )


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


_START = re.compile(r"\n<!-- python -m benchmarks ([\w-]+)( --device cuda)? -->\n")
_HOW = " `python -m benchmarks NAME --device cuda --out FILE` measures them."
_LAST = "\n<!-- not measured on a GPU -->\n"


def placed(text: str, name: str, body: str, gpu: bool = False) -> str:
    """A file's text with this section replaced, or inserted in `ORDER`; every other byte stays.

    What was measured on a GPU, whichever it is, stands behind the same of the CPU.
    """
    key = (ORDER.index(name), gpu)
    start = f"\n<!-- python -m benchmarks {name}{' --device cuda' * gpu} -->\n"
    text, last, of_gpus = (text or _PREAMBLE).partition(_LAST)
    preamble, *parts = re.split(rf"(?={_START.pattern.replace('(', '(?:')})", text)
    for i, part in enumerate(parts):
        if part.startswith(start):
            parts[i] = start + body
            break
    else:
        at = next((i for i, part in enumerate(parts) if _key(part) > key), len(parts))
        parts.insert(at, start + body)
    return preamble + "".join(parts) + last + of_gpus


def _key(part: str) -> tuple[int, bool]:
    """The place of a section in the order of a file."""
    found = _START.match(part)
    assert found
    return ORDER.index(found[1]), bool(found[2])


def missing(text: str) -> str:
    """A file's text with, at its end, what was and was not measured on a GPU, by the sections that it has."""
    text = text.partition(_LAST)[0]
    there = {name for name, device in _START.findall(text) if device}
    open_ = [name for name in ON_A_DEVICE if name not in there]
    told = [
        "Measured there: " + (", ".join(name for name in ON_A_DEVICE if name in there) or "nothing") + ".",
        "Not measured there: " + (", ".join(open_) or "nothing") + "." + _HOW * bool(open_),
        "The other sections are of the processor alone.",
    ]
    return f"{text}{_LAST}## On a GPU\n\n{' '.join(told)}\n"


def write(section: Section, file: Path) -> None:
    """Replace or insert the section in the file, which is made if there is none."""
    old = file.read_bytes().decode() if file.exists() else ""
    file.write_bytes(missing(placed(old, section.name, render(section), section.on != "cpu")).encode())
