"""The command `predict`: what a run answers where a place of a triplet is open, and what that is worth."""

from __future__ import annotations

import csv
import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dans_data.errors import InputError
from dans_data.words import number
from dans_lab import warm_up
from dans_lab.cli.look import RunOrModel, Weights, which_of
from dans_lab.cli.output import print_json, print_table

if TYPE_CHECKING:
    from dans_lab.prediction import Answer, LoadedRun, Worth

_NAME = "The name of an entity."
_COLUMNS = ("head", "relation", "tail", "rank", "score", "probability", "known")


def predict(
    run: RunOrModel,
    head: Annotated[str | None, typer.Option(metavar="NAME", help=_NAME, show_default=False)] = None,
    relation: Annotated[
        str | None, typer.Option(metavar="NAME", help="The name of a relation.", show_default=False)
    ] = None,
    tail: Annotated[str | None, typer.Option(metavar="NAME", help=_NAME, show_default=False)] = None,
    triplets: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Score these triplets instead of asking.", show_default=False),
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=100_000, help="Answers that are no known facts.")] = 10,
    typed: Annotated[
        bool,
        typer.Option("--typed", help="Only entities that train shows in the open place of the relation."),
    ] = False,
    checkpoint: Weights = None,
    csv_file: Annotated[
        str | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="Write the answers to this file, too; pandas reads an entity called NA by keep_default_na=False.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON on standard output, nothing else.")
    ] = False,
) -> None:
    """What a run answers: two names ask for the third, a relation or nothing for new facts of it or of the graph."""
    which = which_of(checkpoint)
    if triplets is not None and (typed or any(name is not None for name in (head, relation, tail))):
        raise InputError("--triplets FILE goes alone: it names the heads, relations and tails itself")
    if csv_file is not None and Path(csv_file).exists():
        raise InputError(f"{csv_file} is there already; --csv writes a new file")
    from dans_lab.prediction import load_run

    found = load_run(run, which)
    if triplets is not None:
        answers = found.score(_read(triplets))
    else:
        with _bar(json) as told:
            answers = found.predict(head, relation, tail, top, typed, told)
    worth = _worth(found, head, relation, tail)
    if csv_file is not None:
        _write(Path(csv_file), answers)
    if json:
        about = {
            "run": found.run.id,
            "dataset": found.kg.name,
            "checkpoint": found.which,
            "epoch": found.epoch,
            "worth": None if worth is None else dataclasses.asdict(worth[1]),
            "warnings": found.warnings(),
            "warm_up": warm_up.unmet(found.config, found.epoch),
        }
        print_json(about | {"answers": [dataclasses.asdict(answer) for answer in answers]})
        return
    _print(found, answers, _title(found, head, relation, tail, triplets))
    if early := warm_up.told(found.config, found.epoch):
        print(early)
    if worth is not None:
        print(f"{worth[0]}: {worth[1]}.")
    elif triplets is None and head is None and tail is None:
        of_new = found.worth_of_new_facts(relation)
        print(f"{of_new[:1].upper()}{of_new[1:]}.")
    for each in found.warnings():
        print(f"warning: {each}")


def _read(file: str) -> list[tuple[str, str, str]]:
    from dans_data.files import read_triplets

    return read_triplets(Path(file))


@contextmanager
def _bar(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """What hears how far new facts are: a bar in a terminal, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("queries asked"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _worth(
    found: LoadedRun, head: str | None, relation: str | None, tail: str | None
) -> tuple[str, Worth] | None:
    """Which place was asked for and what answers to it are worth; None where it is not one place of a relation."""
    if relation is None or (head is None) == (tail is None):
        return None
    of = "head" if head is None else "tail"
    return f"How good it is at {of}s of {relation}, on test", found.worth(relation, of)


def _title(
    found: LoadedRun, head: str | None, relation: str | None, tail: str | None, file: str | None
) -> str:
    asked = f"the triplets of {file}" if file else f"({head or '?'}, {relation or '?'}, {tail or '?'})"
    return f"{found.run.id}: {asked}, {found.which} weights, epoch {found.epoch}"


def _print(found: LoadedRun, answers: Sequence[Answer], title: str) -> None:
    columns = {
        **{name: [getattr(answer, name) for answer in answers] for name in ("head", "relation", "tail")},
        "rank": ["" if answer.rank is None else f"{answer.rank:g}" for answer in answers],
        "score": [number(answer.score) for answer in answers],
        "probability": ["" if p is None else number(p) for p in (answer.probability for answer in answers)],
        "known": [answer.known or "" for answer in answers],
    }
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    numbers = ("rank", "score", "probability")
    rows = [list(row) for row in zip(*shown.values(), strict=True)]
    print_table(title, [(name, name in numbers) for name in shown], rows)
    print("score: to be compared within one query only.")
    if "rank" in shown:
        print("rank: among candidates that are no known facts; 1 is best.")
    if found.calibration is None:
        print("No probability: valid is too small for scores to be turned into one.")
    elif any(answer.probability is not None for answer in answers):
        print(
            "probability: the chance that a new answer is true, fitted on valid, where it is off by "
            f"{number(found.calibration.error)} on the mean."
        )


def _write(file: Path, answers: Sequence[Answer]) -> None:
    try:
        with file.open("x", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(_COLUMNS)
            for answer in answers:
                values = dataclasses.asdict(answer)
                table.writerow(["" if values[name] is None else values[name] for name in _COLUMNS])
    except OSError as error:
        raise InputError(f"{file} cannot be written ({error.strerror})") from None
