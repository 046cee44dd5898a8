"""The command `doctor`."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Annotated

import typer

from dans_data.words import count
from dans_lab.cli.output import print_json, print_table

Gpu = Annotated[
    bool, typer.Option("--gpu", help="Ask torch for a GPU even where none is seen; takes seconds more.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, nothing else.")]


def doctor(gpu: Gpu = False, json: Json = False) -> int:
    """Whether all is as it should be: packages, folders, port, cores, memory, GPU, limits; exit code 1 where not."""
    from dans_lab.doctor import examine

    findings = examine(gpu)
    if json:
        print_json([dataclasses.asdict(each) for each in findings])
    else:
        rows = [[each.state, each.about, each.found] for each in findings]
        print_table("what was found", [("", False), ("of", False), ("found", False)], rows)
        for each in findings:
            if each.advice:
                print(f"{each.about}: {each.advice}")
        states = Counter(each.state for each in findings)
        print(
            f"{count(states['to mend'], 'thing')} to mend, {states['worth knowing']} worth knowing, {states['OK']} OK"
        )
    return int(any(each.state == "to mend" for each in findings))
