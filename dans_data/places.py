"""Which data sets can be named here, where each lies, and how large it is."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from dans_data.cache import cache_dir, own_dir
from dans_data.catalogue import CATALOGUE, Fact
from dans_data.errors import InputError
from dans_data.files import SUFFIXES, home, kind, read_triplets, split_files
from dans_data.notes import Remark
from dans_data.shipped import TOP
from dans_data.triplets import SPLITS, Counts, Triplet, counts

BUNDLED = TOP / "assets" / "kg"
DATA_DIR_VARIABLE = "DANS_DATA_DIR"

OWN_NAME = re.compile(r"[a-z0-9-]{1,40}")
ABOUT = "about.json"
"""The file beside a person's own three that says where they come from, and how many they hold."""

Where = Literal["bundled", "data-dir", "downloaded", "own", "download"]
TimeAndSize = tuple[int, int]


@dataclass(frozen=True)
class DatasetInfo:
    """One data set that `load` knows by name.

    Attributes:
        path: its folder; for one that is not here yet, the folder that a download would make.
        train: how many distinct triplets, as `valid` and `test`. All counts are 0 where there is a `problem`.
        title: for people, as `origin`, `description` and `licence`; the name where nobody gave one.
        facts: what to know before believing a score.
        where: it came with the program, lies in `DANS_DATA_DIR`, was downloaded, is a person's own, or can be
            downloaded and is not `here`; `bytes` is then the size of the download.
        here: as `where` says, and so is `own`.
    """

    name: str
    path: Path
    entities: int
    relations: int
    train: int
    valid: int
    test: int
    origin: str
    description: str
    problem: str = ""
    title: str = ""
    licence: str = ""
    facts: tuple[Fact, ...] = ()
    where: Where = "bundled"
    bytes: int = 0

    @property
    def here(self) -> bool:
        """Whether `load` needs no network for it."""
        return self.where != "download"

    @property
    def own(self) -> bool:
        """Whether a person added it, so that it can be removed."""
        return self.where == "own"


def available() -> list[DatasetInfo]:
    """The data sets that `load` knows by name, in this order.

    Those that came with the program, those in `DANS_DATA_DIR`, downloaded ones, a person's own, and those that
    can be downloaded. A folder that cannot be read as a data set is listed with its `problem`. Quick: what is
    known is not counted, and a count is kept until a file changes.
    """
    found = [_info(name, path, where) for name, (path, where) in _places().items()]
    here = {info.name for info in found}
    return found + [
        _of_catalogue(name, download_place(name), "download") for name in CATALOGUE if name not in here
    ]


def folders() -> dict[str, Path]:
    """Name to folder of every data set that is here."""
    return {name: path for name, (path, _) in _places().items()}


def download_place(name: str) -> Path:
    """Where a data set of the catalogue lies once it is downloaded."""
    return cache_dir() / "downloaded" / name


def is_whole(folder: Path) -> bool:
    """Whether a folder has the three files as a download leaves them."""
    return all((folder / f"{split}.txt").is_file() for split in SPLITS)


def own_place(name: str) -> Path:
    """Where a person's data set of this name lies, or would."""
    kept = own_dir() / name
    former = _former_own_dir() / name
    return former if former.is_dir() and not kept.is_dir() else kept


def _former_own_dir() -> Path:
    """Where such data sets were kept once; what lies there is still found."""
    return cache_dir() / "own"


def own_names() -> list[str]:
    """The names of a person's own data sets."""
    return [name for name, (_, where) in _places().items() if where == "own"]


def about_own(name: str) -> dict[str, object]:
    """What was noted when a person's data set was added; empty where that cannot be read."""
    try:
        about = json.loads((own_place(name) / ABOUT).read_bytes())
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def own_notes(name: str) -> tuple[Remark, ...]:
    """What a reader should know of a person's data set, noted when it was added."""
    notes = about_own(name).get("notes")
    return tuple(Remark(str(note)) for note in notes) if isinstance(notes, list) else ()


def time_and_size(file: Path) -> TimeAndSize:
    """Of a file, to be noted: while they stay, so does the content."""
    found = file.stat()
    return found.st_mtime_ns, found.st_size


def _places() -> dict[str, tuple[Path, Where]]:
    """Names come from listing folders, never from joining a person's text to a path; the first of a name counts."""
    found: dict[str, tuple[Path, Where]] = {}
    for name, path in _in(BUNDLED):
        found[name] = path, "bundled"
    if data_dir := os.environ.get(DATA_DIR_VARIABLE):
        for name, path in _in(home(Path(data_dir))):
            found.setdefault(name, (path, "data-dir"))
    for name, path in _in(cache_dir() / "downloaded"):
        if name in CATALOGUE and is_whole(path):
            found.setdefault(name, (path, "downloaded"))
    for parent in (own_dir(), _former_own_dir()):
        for name, path in _in(parent):
            if OWN_NAME.fullmatch(name):
                found.setdefault(name, (path, "own"))
    return found


def _in(parent: Path) -> Iterator[tuple[str, Path]]:
    try:
        children = sorted(parent.iterdir())
    except OSError:
        return
    for folder in children:
        if any(kind(folder / f"train{suffix}") != "nothing" for suffix in SUFFIXES):
            yield folder.name, folder


def _info(name: str, path: Path, where: Where) -> DatasetInfo:
    about = about_own(name) if where == "own" else {}
    try:
        by_split = split_files(path)
        files = tuple(by_split.values())
        stamps = tuple(time_and_size(file) for file in files)
        if name in CATALOGUE and _as_published(name, files, stamps):
            return _of_catalogue(name, path, where)
        found, problem = _noted(about, stamps) or _counts(tuple(by_split.items()), stamps), ""
    except (InputError, OSError) as error:
        found, problem = (0, 0, 0, 0, 0), str(error)
    if name in CATALOGUE:
        origin = CATALOGUE[name].origin
        description = f"{CATALOGUE[name].description} The files here differ from those that were published."
    elif where == "own":
        original = f"the file {about['original']}" if about.get("original") else "triplets that were added"
        origin, description = "you", f"Your own data set, from {original}."
    else:
        origin, description = DATA_DIR_VARIABLE, f"The folder {name} in {DATA_DIR_VARIABLE}."
    title = str(about.get("title") or name)
    return DatasetInfo(name, path, *found, origin, description, problem, title, where=where)


def _of_catalogue(name: str, path: Path, where: Where) -> DatasetInfo:
    known = CATALOGUE[name]
    return DatasetInfo(
        name,
        path,
        *known.counts,
        known.origin,
        known.description,
        title=known.title,
        licence=known.licence,
        facts=known.facts,
        where=where,
        bytes=known.bytes,
    )


@lru_cache(maxsize=64)
def _as_published(name: str, files: tuple[Path, ...], stamps: tuple[TimeAndSize, ...]) -> bool:
    """Whether these are the files of the catalogue, byte for byte; `stamps` renew a kept answer."""
    published = CATALOGUE[name].files
    return len(files) == len(SPLITS) and all(
        published[split].is_right(file) for split, file in zip(SPLITS, files, strict=True)
    )


def _noted(about: dict[str, object], stamps: tuple[TimeAndSize, ...]) -> Counts | None:
    """The counts of a person's data set as they were noted, unless a file has changed since."""
    noted = about.get("counts")
    if about.get("stamps") != [list(found) for found in stamps]:
        return None
    match noted:
        case [int(entities), int(relations), int(train), int(valid), int(test)]:
            return entities, relations, train, valid, test
    return None


@lru_cache(maxsize=64)
def _counts(files: tuple[tuple[str, Path], ...], stamps: tuple[TimeAndSize, ...]) -> Counts:
    """What the files of train, valid and test hold that there are; `stamps` renew a kept answer."""
    found: dict[str, set[Triplet]] = {split: set() for split in SPLITS}
    return counts(found | {split: set(read_triplets(file)) for split, file in files})
