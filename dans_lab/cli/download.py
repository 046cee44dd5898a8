"""What a person sees while a data set is downloaded: a bar in a terminal, a line elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

from dans_data.words import megabytes


def bring(source: str, quiet: bool = False) -> None:
    """Download `source` if it is the name of a data set that is not here; anything else is left to `load`.

    Tells of it on standard error, or not at all where it is to be `quiet`.

    Raises:
        InputError: the download failed, in one sentence.
    """
    from dans_data.catalogue import CATALOGUE
    from dans_data.places import folders

    if source in CATALOGUE and source not in folders():
        download(source, quiet)


def download(name: str, quiet: bool = False) -> Path:
    """The folder of a data set of the catalogue, downloaded if it is not here; tells as `bring`."""
    from dans_data.catalogue import CATALOGUE
    from dans_data.fetch import fetch

    if quiet or name not in CATALOGUE:
        return fetch(name)
    if not sys.stderr.isatty():
        print(f"downloading {name} ({megabytes(CATALOGUE[name].bytes)})", file=sys.stderr, flush=True)
        return fetch(name)
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("downloading {task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=CATALOGUE[name].bytes)
        return fetch(name, lambda came, total: bar.update(task, completed=came, total=total))
