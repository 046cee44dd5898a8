"""The command `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dans_lab.cli.look import Json, RunArgument, Weights, which_of
from dans_lab.cli.output import print_json
from dans_lab.runs.run import open_run


def export(
    run: RunArgument,
    to: Annotated[str, typer.Option("--to", metavar="FOLDER", help="A new or an empty folder.")],
    checkpoint: Weights = "best",
    json: Json = False,
) -> None:
    """Write a run's settings, metrics, model, negatives and embeddings for other programs."""
    which = which_of(checkpoint)
    found = open_run(run, paths=True)
    from dans_lab.export import run_export as exporting

    folder = Path(to).expanduser()
    written = exporting.export(found, folder, which)
    if json:
        print_json(
            {
                "run": found.id,
                "folder": str(folder),
                "files": written.files,
                "epoch": written.epoch,
                "command": exporting.command(found),
            }
        )
        return
    width = max(map(len, written.files))
    print(f"{found.id} in {folder}:")
    for name, size in written.files.items():
        print(f"  {name:{width}}  {size:>11,} bytes")
    if "model.npz" in written.files:
        print(f"The model is that of the {which} weights, as `evaluate` ranks with.")
    if written.epoch is None:
        print("The run has kept no snapshot yet, so there are no negatives and no embeddings.")
    else:
        print(f"Negatives and embeddings are of epoch {written.epoch}. To repeat the run:")
        print(f"  {exporting.command(found)}")
