"""The command `datasets`: what can be loaded by name, and what a person adds to it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dans_data.columns import Columns
from dans_data.errors import InputError
from dans_data.words import megabytes
from dans_lab.cli.download import download
from dans_lab.cli.output import noted, print_json, print_table

if TYPE_CHECKING:
    from dans_data.places import DatasetInfo

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, nothing else.")]

_WHERE = {"bundled": "bundled", "data-dir": "DANS_DATA_DIR", "downloaded": "downloaded", "own": "yours"}
_COUNTS = ("entities", "relations", "train", "valid", "test")


def datasets(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="Survey this one: a name, a folder, or a file.", show_default=False
        ),
    ] = None,
    download_: Annotated[
        str | None, typer.Option("--download", metavar="NAME", help="Download it, to train on it later.")
    ] = None,
    add: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Keep a copy of a folder or file of triplets, under a name."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The name to --add it under.", show_default="that of the file"),
    ] = None,
    split_seed: Annotated[
        int | None,
        typer.Option(
            metavar="INTEGER", help="With --add: how one file is split into three.", show_default="0"
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="H,R,T",
            help="With NAME or --add: which columns of a table are head, relation and tail, from 1, such as 1,3,2.",
            show_default="what a header or the values tell",
        ),
    ] = None,
    header: Annotated[
        bool | None,
        typer.Option(
            help="With NAME or --add: whether the first line of a table names its columns.",
            show_default="what its words tell",
        ),
    ] = None,
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help="With NAME or --add: leave out lines that are no triplets.")
    ] = False,
    encoding: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="With NAME or --add: how text is encoded, such as windows-1252.",
            show_default="utf-8",
        ),
    ] = None,
    remove: Annotated[
        str | None, typer.Option(metavar="NAME", help="Delete a data set that was added.")
    ] = None,
    json: Json = False,
) -> None:
    """What can be loaded by name; or what one holds; or download, add or remove one."""
    chosen = {"NAME": source, "--download": download_, "--add": add, "--remove": remove}
    given = [option for option, value in chosen.items() if value is not None]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)} cannot be used together; give one of them")
    for option, value in (("--name", name), ("--split-seed", split_seed)):
        if value is not None and add is None:
            raise InputError(f"{option} goes with --add PATH")
    of_a_file = {
        "--columns": columns,
        "--header": header,
        "--leave-out": leave_out or None,
        "--encoding": encoding,
    }
    for option, said in of_a_file.items():
        if said is not None and source is None and add is None:
            raise InputError(f"{option} goes with NAME or --add PATH")
    table = Columns.parse(columns, header, leave_out, encoding)
    if source is not None:
        from dans_lab.cli.survey import show

        show(source, json, table)
    elif download_ is not None:
        _tell("downloaded", download_, download(download_, quiet=json), json)
    elif add is not None:
        _add(add, name, split_seed or 0, table, json)
    elif remove is not None:
        from dans_data import own

        own.remove(remove)
        _tell("removed", remove, None, json)
    else:
        _list(json)


def _add(source: str, name: str | None, split_seed: int, columns: Columns, json: bool) -> None:
    from dans_data import load, own

    chosen = own.suggested_name(Path(source).stem) if name is None else own.mended(name) or name
    # Before what may take a while to read.
    if problem := own.name_error(chosen):
        raise InputError(problem if name is not None else f"{problem}; --name NAME gives it another")
    found = load(source, split_seed, columns=columns)
    place = own.add(found, chosen, original=Path(source).name)
    _tell("added", chosen, place, json)
    if not json:
        if name not in (None, chosen):
            print(f'note: it is called {chosen}, since "{name}" cannot name a data set')
        for note in found.notes:
            print(f"note: {noted(note, source)}")


def _tell(what: str, name: str, place: Path | None, json: bool) -> None:
    if json:
        print_json({what: name} | ({"path": str(place)} if place else {}))
    elif place:
        print(f"{what} {name}: {place}")
        print(f"next: python -m dans_core train --dataset {name}")
    else:
        print(f"{what} {name}")


def _list(json: bool) -> None:
    from dans_data import available

    found = available()
    if json:
        print_json([_as_json(info) for info in found])
        return
    rows = [[info.name, *(f"{getattr(info, name):,}" for name in _COUNTS), _where(info)] for info in found]
    print_table("data sets", [("name", False), *((name, True) for name in _COUNTS), ("where", False)], rows)
    for info in found:
        about = (
            f"cannot be read: {info.problem}" if info.problem else f"{info.description} From {info.origin}."
        )
        print(f"{info.name}: {about}")
    print(
        "Also: a folder with train, valid and test, one file of triplets, and pykeen:NAME for what PyKEEN knows."
    )


def _as_json(info: DatasetInfo) -> dict[str, object]:
    plain = {"path": str(info.path), "facts": [fact.sentence for fact in info.facts]}
    return dataclasses.asdict(info) | plain | {"here": info.here, "own": info.own}


def _where(info: DatasetInfo) -> str:
    return _WHERE[info.where] if info.here else f"can be downloaded ({megabytes(info.bytes)})"
