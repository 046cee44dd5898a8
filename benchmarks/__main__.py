"""The command line of the benchmarks."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.report import Section, render, write
from dans_data.errors import InputError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)


def _file(path: Path | None) -> Path | None:
    """Refuses what could not be written after minutes of measuring."""
    if path is not None and not path.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}")
    return path


JsonFile = Annotated[
    Path | None, typer.Option("--json", dir_okay=False, callback=_file, help="Write the raw figures here.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False, callback=_file, help="Replace this benchmark's section of this Markdown file."
    ),
]
Datasets = Annotated[
    list[str] | None,
    typer.Option(
        "--dataset", help="umls, wn18rr, nell-995 or a folder; may be repeated. All three if not given."
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Measure on this: auto, cpu, cuda or cuda:1. auto is DANS_DEVICE, else a GPU where there is one.",
    ),
]
Alone = Annotated[bool, typer.Option("--alone", help="Measure ours, without PyKEEN beside it.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any setting, such as batch_size=200000, instead of what a graph of this size gets; may be repeated.",
    ),
]
Repeats = Annotated[int, typer.Option(min=1, help="Rounds of every case, after one to warm up.")]


class Decoder(StrEnum):
    """The decoders, as the command line takes them."""

    distmult = "distmult"
    complex = "complex"
    rotate = "rotate"


@app.callback()
def benchmarks() -> None:
    """Measurements that take minutes, each one command; those with --device run on a GPU, too."""


@app.command()
def layer(
    dataset: Datasets = None,
    repeats: Repeats = 7,
    device: Device = "auto",
    json_file: JsonFile = None,
    out: Out = None,
) -> None:
    """One R-GCN layer beside PyTorch Geometric's."""
    from benchmarks.layer import measure

    _finish(measure(dataset or [], repeats, device), json_file, out)


@app.command()
def epoch(
    dataset: Datasets = None,
    decoder: Annotated[
        list[Decoder] | None,
        typer.Option(help="May be repeated. All on a small graph, complex on a large one if not given."),
    ] = None,
    repeats: Repeats = 7,
    device: Device = "auto",
    alone: Alone = False,
    json_file: JsonFile = None,
    out: Out = None,
) -> None:
    """One training epoch beside PyKEEN's R-GCN."""
    from benchmarks.epoch import measure

    _finish(measure(dataset or [], [d.value for d in decoder or []], repeats, device, alone), json_file, out)


@app.command()
def quality(
    decoder: Annotated[Decoder, typer.Option()] = Decoder.complex,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds, counted from 0.")] = 5,
    epochs: Annotated[int | None, typer.Option(min=4, help="Epochs a run has at most.")] = None,
    device: Device = "auto",
    alone: Alone = False,
    json_file: JsonFile = None,
    out: Out = None,
) -> None:
    """Seconds to a valid MRR on UMLS beside PyKEEN epochs."""
    from benchmarks.quality import measure

    _finish(measure(decoder.value, seeds, epochs, device, alone), json_file, out)


@app.command(name="pykeen")
def in_pykeen(
    seeds: Annotated[int, typer.Option(min=2, help="Seeds, counted from 0.")] = 5,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of each training.")] = 40,
    loss: Annotated[
        list[str] | None,
        typer.Option(help="One of PyKEEN's, by name; may be repeated. nssa and crossentropy if not given."),
    ] = None,
    rate: Annotated[
        list[float] | None,
        typer.Option(help="A learning rate to choose from; may be repeated. 0.05 and 0.1 if not given."),
    ] = None,
    kept: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            callback=_file,
            help="A file of what is trained: what stands there is not trained again.",
        ),
    ] = None,
    json_file: JsonFile = None,
    out: Out = None,
) -> None:
    """Our negative sampler in PyKEEN's pipeline beside its own."""
    from benchmarks.pipeline import measure

    _finish(
        measure(seeds, epochs, loss or ["nssa", "crossentropy"], rate or [0.05, 0.1], kept), json_file, out
    )


@app.command()
def ranking(
    dataset: Datasets = None,
    repeats: Repeats = 5,
    device: Device = "auto",
    alone: Alone = False,
    json_file: JsonFile = None,
    out: Out = None,
) -> None:
    """Filtered ranking of a test split beside PyKEEN's evaluator."""
    from benchmarks.ranking import measure

    _finish(measure(dataset or [], repeats, device, alone), json_file, out)


@app.command()
def scaling(
    repeats: Annotated[int, typer.Option(min=1, help="Epochs at each size; the fastest counts.")] = 2,
    device: Device = "auto",
    json_file: JsonFile = None,
    out: Out = None,
) -> None:
    """The cost of a DANS epoch as edges, entities, negatives and embedding size double."""
    from benchmarks.scaling import measure

    _finish(measure(repeats, asked=device), json_file, out)


@app.command()
def ranks(
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="A data set, or random:TRIPLETS:ENTITIES; may be repeated. WN18RR if not given."),
    ] = None,
    processes: Annotated[
        list[int] | None, typer.Option(min=1, help="May be repeated. 1 and 2 if not given.")
    ] = None,
    sampler: Annotated[
        list[str] | None, typer.Option(help="dans or uniform; may be repeated. Both if not given.")
    ] = None,
    set_: Settings = None,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of each; the least counts.")] = 2,
    json_file: JsonFile = None,
    out: Out = None,
) -> None:
    """One run on one process and on several that torchrun starts."""
    from benchmarks.ranks import measure

    samplers = sampler or ["dans", "uniform"]
    found = measure(dataset or ["wn18rr"], samplers, processes or [1, 2], epochs, _settings(set_))
    _finish(found, json_file, out)


@app.command()
def shards(
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            help="A data set, random:TRIPLETS:ENTITIES, or near:TRIPLETS:ENTITIES, which falls into parts; may be "
            "repeated. UMLS if not given."
        ),
    ] = None,
    processes: Annotated[
        list[int] | None, typer.Option(min=1, help="May be repeated. 1, 2 and 4 if not given.")
    ] = None,
    sampler: Annotated[
        list[str] | None, typer.Option(help="dans or uniform; may be repeated. Both if not given.")
    ] = None,
    set_: Settings = None,
    epochs: Annotated[int, typer.Option(min=2, help="Epochs of each.")] = 60,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds, counted from 0.")] = 3,
    json_file: JsonFile = None,
    out: Out = None,
) -> None:
    """The entity table in shards, on one process and on several."""
    from benchmarks.shards import measure

    samplers = sampler or ["dans", "uniform"]
    found = measure(dataset or ["umls"], samplers, processes or [1, 2, 4], epochs, seeds, _settings(set_))
    _finish(found, json_file, out)


@app.command()
def estimates(
    dataset: Datasets = None,
    epochs: Annotated[int, typer.Option(min=2, help="Epochs of a run on a large graph.")] = 4,
    slowed: Annotated[int, typer.Option(min=1, help="Slow all of it down so many times, on one core.")] = 1,
    json_file: JsonFile = None,
    out: Out = None,
) -> None:
    """The time promised before a run beside the time it takes."""
    from benchmarks.estimates import measure

    _finish(measure(dataset or [], epochs, slowed), json_file, out)


@app.command(name="app")
def of_the_app(json_file: JsonFile = None, out: Out = None) -> None:
    """How fast the app starts, draws and follows a run."""
    from benchmarks.app import measure
    from benchmarks.timing import stderr

    _finish(measure(stderr().print), json_file, out)


@app.command()
def answers(
    dataset: Annotated[str, typer.Option(help="umls, wn18rr, nell-995 or a folder.")] = "nell-995",
    json_file: JsonFile = None,
    out: Out = None,
) -> None:
    """How fast the screen Predict answers a query on a large graph."""
    from benchmarks.answers import measure
    from benchmarks.timing import stderr

    _finish(measure(dataset, stderr().print), json_file, out)


@app.command(name="first-minute")
def of_a_newcomer(
    visits: Annotated[int, typer.Option(min=1, help="Visits of each kind.")] = 5,
    json_file: JsonFile = None,
    out: Out = None,
) -> None:
    """A newcomer's first minute: to a moving picture, an own action, a named negative."""
    from benchmarks.first_minute import measure
    from benchmarks.timing import stderr

    _finish(measure(visits, stderr().print), json_file, out)


@app.command()
def soak(
    short: Annotated[
        bool, typer.Option("--short", help="5 kills, 7 visitors and browsers, 300 inputs: what CI does.")
    ] = False,
    kills: Annotated[int | None, typer.Option(min=0)] = None,
    servers: Annotated[
        int | None, typer.Option(min=0, help="Servers that are killed, beside the kills.")
    ] = None,
    studies: Annotated[
        int | None, typer.Option(min=0, help="Studies that are killed, beside the kills.")
    ] = None,
    visitors: Annotated[
        int | None, typer.Option(min=0, help="WebSocket clients that do as a page does.")
    ] = None,
    browsers: Annotated[int | None, typer.Option(min=0, help="Real browsers beside the visitors.")] = None,
    pause: Annotated[float | None, typer.Option(min=0, help="Seconds between the clicks of each.")] = None,
    seconds: Annotated[float | None, typer.Option(min=1, help="How long visitors stay.")] = None,
    sessions: Annotated[int | None, typer.Option(min=0)] = None,
    cases: Annotated[int | None, typer.Option(min=0, help="Damaged and hostile inputs.")] = None,
    viewers: Annotated[
        int | None, typer.Option(min=0, help="Browsers under which the server is killed.")
    ] = None,
    seed: int = 0,
    json_file: JsonFile = None,
    out: Out = None,
) -> None:
    """Kills, many visitors, sessions and hostile inputs: is anything lost, left over, or down?

    What is given takes the place of the full size, or of the short one; 0 leaves a part out. Exit code 1 where
    something does not hold.
    """
    from benchmarks.soak import SHORT, Size, measure
    from benchmarks.timing import stderr

    given = {
        "kills": kills,
        "servers": servers,
        "studies": studies,
        "visitors": visitors,
        "browsers": browsers,
    }
    given |= {"pause": pause, "seconds": seconds, "sessions": sessions, "cases": cases}
    given |= {"viewers": viewers}
    size = replace(
        SHORT if short else Size(), **{name: value for name, value in given.items() if value is not None}
    )
    section = measure(size, seed, stderr().print)
    _finish(section, json_file, out)
    if not all(record["holds"] for record in section.records):
        raise typer.Exit(1)


def _settings(pairs: list[str] | None) -> dict[str, str]:
    if wrong := [pair for pair in pairs or [] if "=" not in pair]:
        raise typer.BadParameter(f"--set {wrong[0]!r}: must be NAME=VALUE, such as --set dim=64")
    return dict(pair.split("=", 1) for pair in pairs or [])


def _finish(section: Section, json_file: Path | None, out: Path | None) -> None:
    typer.echo(render(section))
    if out is not None:
        write(section, out)
    if json_file is not None:
        json_file.write_text(json.dumps(section.records, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Run a command; a person's mistake is one sentence and exit code 2."""
    try:
        app()
    except InputError as error:
        typer.echo(error, err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
