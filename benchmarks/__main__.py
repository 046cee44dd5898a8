"""The command line of the benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)


@app.callback()
def benchmarks() -> None:
    """Measurements that take minutes, each one command."""


@app.command()
def umls(
    seeds: Annotated[int, typer.Option(min=2, help="Seeds per row, counted from 0.")] = 5,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs per run.")] = 300,
    processes: Annotated[int, typer.Option(min=1, help="Runs at a time, one thread each.")] = 2,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also keep every run's figures here.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the table here as Markdown.")] = None,
) -> None:
    """MRR on UMLS with the default settings: three decoders, with DANS and with uniform negatives."""
    from benchmarks.umls import run_all, table

    records = run_all(seeds, epochs, processes)
    text = table(records)
    typer.echo(text)
    if out is not None:
        out.write_text(text, encoding="utf-8")
    if json_file is not None:
        json_file.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    app()
