"""Measures the presets that go wrong on purpose: `python -m assets.failing --seeds 5`.

Trains each of them with seeds 0, 1, … on one thread, and writes the figure of each run to assets/failing.json, from
which the app says how sure the phenomenon is. Takes some minutes.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from dans_core.config import parse
from dans_core.events import Event
from dans_core.kg import KnowledgeGraph
from dans_core.training import Trainer
from dans_lab.failing import DATASET, FAILING, MEASURED
from dans_lab.runs import process


def main(seeds: Annotated[int, typer.Option(min=1)] = 5) -> None:
    """Train every preset, and a sound run beside it, with these many seeds, and keep the figures."""
    process.prepare(1)
    kg = KnowledgeGraph.load(DATASET)
    runs: dict[str, list[Event]] = {}

    def trained(settings: dict[str, Any], seed: int) -> list[Event]:
        config = parse(settings | {"seed": seed})
        # Presets share their sound runs.
        key = config.model_dump_json()
        if key not in runs:
            runs[key] = [*Trainer(kg, config)]
        return runs[key]

    found = {}
    for name, preset in FAILING.items():
        figures, sound = (
            [round(preset.read(trained(settings, seed)), 4) for seed in range(seeds)]
            for settings in (preset.settings, preset.sound)
        )
        found[name] = {"figures": figures, "sound": sound}
        print(
            f"{name}: {sum(map(preset.keeps, figures))} of {seeds} are {preset.promise}: {found[name]}",
            flush=True,
        )
    MEASURED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
