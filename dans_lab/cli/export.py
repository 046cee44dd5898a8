"""The command `export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from dans_lab.cli.look import Json, RunArgument, Weights, which_of
from dans_lab.cli.output import print_json
from dans_lab.runs.run import open_run


def export(
    run: RunArgument,
    to: Annotated[
        str,
        typer.Option("--to", metavar="FOLDER|FILE.zip", help="A new or an empty folder, or a new zip file."),
    ],
    checkpoint: Weights = None,
    json: Json = False,
) -> None:
    """Write a run's model, with its card and facts, settings, metrics, negatives and embeddings for other programs."""
    which = which_of(checkpoint)
    found = open_run(run, paths=True)
    from dans_lab.export import run_export as exporting
    from dans_lab.sisters import sisters

    folder = Path(to).expanduser()
    exporting.check_place(folder)

    def told(run_id: str) -> None:
        if not json:
            print(f"ranking {run_id}, the same with another seed, for the model card", file=sys.stderr)

    exported = exporting.export(found, which, lambda run, kg: sisters(run, kg, told))
    sizes = exporting.write(exported, folder)
    if json:
        weights, epoch = exported.weights or (None, None)
        print_json(
            {
                "run": found.id,
                "folder": str(folder),
                "files": sizes,
                "checkpoint": weights,
                "model_epoch": epoch,
                "epoch": exported.epoch,
                "command": exporting.command(found),
            }
        )
        return
    width = max(map(len, sizes))
    print(f"{found.id} in {folder}:")
    for name, size in sizes.items():
        print(f"  {name:{width}}  {size:>11,} bytes")
    if exported.weights is None:
        print("The run has kept no weights, so there is no model.")
    else:
        weights, epoch = exported.weights
        print(
            f"The model has the {weights} weights, of epoch {epoch}, in float32; `evaluate` and `predict` take it."
        )
    if exported.epoch is None:
        print("The run has kept no snapshot yet, so there are no negatives and no embeddings.")
    else:
        print(f"Negatives and embeddings are of epoch {exported.epoch}. To repeat the run:")
        print(f"  {exporting.command(found)}")
