"""The command `datasets`."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from dans_core.cli.output import print_json, print_table

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, nothing else.")]


def datasets(json: Json = False) -> None:
    """What can be loaded by name, with counts and where from."""
    from dans_core.datasets import available

    found = available()
    if json:
        print_json([{**dataclasses.asdict(info), "path": str(info.path)} for info in found])
        return
    counted = ["entities", "relations", "train", "valid", "test"]
    rows = [[info.name, *(f"{getattr(info, name):,}" for name in counted)] for info in found]
    print_table("data sets", [("name", False), *((name, True) for name in counted)], rows)
    for info in found:
        about = (
            f"cannot be read: {info.problem}" if info.problem else f"{info.description} From {info.origin}."
        )
        print(f"{info.name}: {about}")
    print("Also: a folder with train, valid and test (.txt or .tsv), or one file of triplets.")
