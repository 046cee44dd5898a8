"""What a benchmark found, as Markdown, and its place in a file of results."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The order of the sections in a file of results.
ORDER = ("layer", "epoch", "quality", "ranking", "app", "scaling")

_PREAMBLE = """# Measurements

Each section is written by its own command, `python -m benchmarks NAME --out FILE`, on the machine and with
the versions it names, and says how often and in which order things were timed. Where a section has ratios, read
them first: seconds belong to the machine.
"""
# For the notes of the sections that `timing.alternate` measures.
IN_TURNS = "one thread, all in turns in one process (A B A B …), so that the noise of the machine hits all"

# The choices, as the tables write them.
DECODERS = {"complex": "ComplEx", "distmult": "DistMult", "rotate": "RotatE"}
SAMPLERS = {"dans": "DANS", "uniform": "uniform"}

_PACKAGES = {"app": ("streamlit", "plotly", "playwright")}
_PEERS = ("torch", "torch-geometric", "pykeen")


@dataclass(frozen=True)
class Section:
    """One benchmark's result.

    name     the command, which is also the section's place in the file
    note     one or two plain sentences: what was done, how often, and what the figures are
    rows     the cells as shown, one list a row, as long as `columns`
    records  the raw figures behind them, as JSON can hold them
    """

    name: str
    title: str
    note: str
    columns: list[str]
    rows: list[list[str]]
    records: list[dict[str, Any]]


def sentence_rows(sentences: Sequence[str], columns: Sequence[str]) -> list[list[str]]:
    """A row for each sentence, which stands in the first cell; the others are empty."""
    return [[sentence] + [""] * (len(columns) - 1) for sentence in sentences]


def not_run(size: float) -> str:
    """The cell of a peer that would hold this many bytes."""
    return f"not run: needs {size / 1e9:.2g} GB"


def environment(packages: Sequence[str]) -> str:
    """Date, processor, Python and the versions of these packages, in one line."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return f"{today}, {cpu()}, Python {platform.python_version()}, {versions}"


def cpu() -> str:
    """The processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def render(section: Section) -> str:
    """The section as Markdown: title, environment, note, table."""
    return "\n".join(
        [
            f"## {section.title}",
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


def placed(text: str, name: str, body: str) -> str:
    """A file's text with this section replaced, or inserted in `ORDER`; every other byte stays."""
    start = f"\n<!-- python -m benchmarks {name} -->\n"
    preamble, *parts = re.split(r"(?=\n<!-- python -m benchmarks \w+ -->\n)", text or _PREAMBLE)
    for i, part in enumerate(parts):
        if part.startswith(start):
            parts[i] = start + body
            break
    else:
        later = ORDER[ORDER.index(name) + 1 :]
        starts = tuple(f"\n<!-- python -m benchmarks {other} -->\n" for other in later)
        at = next((i for i, part in enumerate(parts) if part.startswith(starts)), len(parts))
        parts.insert(at, start + body)
    return preamble + "".join(parts)


def write(section: Section, file: Path) -> None:
    """Replace or insert the section in the file, which is made if there is none."""
    old = file.read_bytes().decode() if file.exists() else ""
    file.write_bytes(placed(old, section.name, render(section)).encode())
