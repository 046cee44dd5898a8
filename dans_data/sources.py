"""A data set from what a person names or uploads: a known name, a folder, a file, an archive."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO

from dans_data import archives, bridge, naming
from dans_data.catalogue import CATALOGUE
from dans_data.errors import InputError
from dans_data.fetch import fetch
from dans_data.files import check_kind, home, kind, part_of, split_files
from dans_data.limits import Limits
from dans_data.notes import Duplicates, ReadingNote, SplitHere
from dans_data.places import DATA_DIR_VARIABLE, folders, own_notes, own_place
from dans_data.reading import Reader
from dans_data.splitting import split_triplets
from dans_data.text import TripletFile
from dans_data.triplets import SPLITS, Dataset, Triplet, printable, suggestion

_SMALLEST_FILE = 10


def load(source: str | os.PathLike[str], split_seed: int = 0, limits: Limits | None = None) -> Dataset:
    """Read a data set: a known name, a folder with train, valid and test, or one file, packed or not.

    A file is text separated by tabs (.txt, .tsv), CSV (.csv) or N-Triples (.nt), each also as .gz; or a .zip with
    one such file or with train, valid and test. One file is split here by `split_seed`, which changes nothing
    where the files are split already. `limits` are those of the environment if none are given.

    A string that is a known name means that data set, even where a folder of this name lies in the working
    folder ("./umls" or a `Path` means the folder). Bundled data sets come before those in `DANS_DATA_DIR`. One of
    the catalogue that is not here is downloaded, and "pykeen:NAME" is what PyKEEN knows by that name.

    Raises:
        InputError: nothing is there, a split is missing or empty, a limit is passed, or a line is not a triplet.
    """
    seed = _checked_seed(split_seed)
    limits = limits or Limits.from_environment()
    known = folders()
    if isinstance(source, str) and source in known:
        found = _of_folder(known[source], source, limits)
        if known[source] == own_place(source):
            found = replace(found, notes=(*own_notes(source), *found.notes))
        return found
    if isinstance(source, str) and source.startswith(bridge.PREFIX):
        return bridge.load(source)
    if isinstance(source, str) and source in CATALOGUE:
        return _of_folder(fetch(source), source, limits)
    text = os.fspath(source)
    path = home(Path(text))
    what = kind(path) if text else "nothing"
    if what == "folder":
        return _of_folder(path, printable(path.resolve().name), limits)
    if what != "file":
        raise InputError(_not_found(text, what, known))
    name = naming.title(path.name)
    if not naming.is_zip(path.name):
        return _of_parts(part_of(path), name, seed, limits)
    try:
        with path.open("rb") as stream:
            return _of_zip(stream, printable(str(path)), name, seed, limits)
    except OSError as error:
        raise InputError(
            f"{printable(str(path))} cannot be read ({error.strerror}); expected a zip archive"
        ) from error


def from_uploads(
    files: Sequence[tuple[str, bytes]], name: str, split_seed: int = 0, limits: Limits | None = None
) -> Dataset:
    """A data set called `name` from files with their names: one as `load` takes it, or train, valid and test.

    Nothing is written to disk, and nothing is read from it.

    Raises:
        InputError: other files than these, a limit is passed, or a line is not a triplet.
    """
    seed = _checked_seed(split_seed)
    limits = limits or Limits.from_environment()
    title = printable(name)
    if not files:
        raise InputError("nothing was uploaded; expected one file of triplets, or train, valid and test")
    if len(files) == 1:
        where, data = printable(naming.base(files[0][0])), files[0][1]
        if naming.is_zip(where):
            return _of_zip(BytesIO(data), where, title, seed, limits)
        return _of_parts(_uploaded(where, data), title, seed, limits)
    names = [printable(naming.base(file)) for file, _ in files]
    together = f"the upload of {', '.join(names[:4])}{', …' if len(names) > 4 else ''}"
    if len(files) > len(SPLITS) or not all(map(naming.split_of, names)):
        raise InputError(
            f"{together} is {len(files)} files; expected one file of triplets or one .zip alone, "
            "or exactly train, valid and test"
        )
    parts = naming.by_split(
        ((file, _uploaded(printable(naming.base(file)), data)) for file, data in files), together
    )
    return _of_parts(parts, title, seed, limits)


def _uploaded(where: str, data: bytes) -> TripletFile:
    check_kind(where, where)
    gzipped = naming.is_gzip(where)
    return TripletFile(
        where, naming.form_of(where), partial(BytesIO, data), len(data) if gzipped else 0, gzipped
    )


def _of_folder(folder: Path, name: str, limits: Limits) -> Dataset:
    parts = {split: part_of(file) for split, file in split_files(folder).items()}
    return _of_parts(parts, name, 0, limits)


def _of_zip(stream: IO[bytes], where: str, name: str, seed: int, limits: Limits) -> Dataset:
    with archives.opened(stream, where, limits) as (parts, left_out):
        found = _of_parts(parts, name, seed, limits)
    return replace(found, notes=(*found.notes, *left_out))


def _of_parts(
    parts: TripletFile | Mapping[str, TripletFile], name: str, seed: int, limits: Limits
) -> Dataset:
    """One file, to be split, or three."""
    reader = Reader(limits)
    if isinstance(parts, TripletFile):
        splits, notes = _split(reader.read(parts), parts.where, seed)
        return Dataset(name, splits, (*notes, *reader.notes), seed)
    splits = {split: reader.read(parts[split]) for split in SPLITS}
    for split, triplets in splits.items():
        if not triplets:
            raise InputError(
                f"{parts[split].where} holds no triplets; expected lines of head, relation, tail"
            )
    return Dataset(name, splits, tuple(reader.notes))


def _split(
    triplets: list[Triplet], where: str, seed: int
) -> tuple[dict[str, list[Triplet]], list[ReadingNote]]:
    distinct = set(triplets)
    if len(distinct) < _SMALLEST_FILE:
        raise InputError(
            f"{where} holds {len(distinct)} distinct triplets, too few to split into train, valid and test; "
            f"expected {_SMALLEST_FILE} or more, or a folder with the three files"
        )
    splits = split_triplets(distinct, seed)
    if not (splits["valid"] and splits["test"]):
        raise InputError(
            f"{where} cannot be split: nearly every triplet has a name that occurs nowhere else and that "
            "train would never see; expected more triplets for each name, or a folder with the three files"
        )
    train, valid, test = (len(splits[split]) for split in SPLITS)
    notes: list[ReadingNote] = [SplitHere((train, valid, test), seed)]
    if repeated := len(triplets) - len(distinct):
        notes.append(Duplicates(naming.base(where), repeated))
    return splits, notes


def _checked_seed(seed: object) -> int:
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise InputError(f"the split seed is {printable(str(seed), 80)}; expected a whole number from 0")
    return seed


def _not_found(text: str, what: str, known: Mapping[str, Path]) -> str:
    right = f"a folder with train, valid and test, or one file of triplets ({naming.EXPECTED}, or .zip)"
    shown = printable(text)
    if what == "other":
        return f"{shown} is neither a folder nor a file that can be read; expected {right}"
    if os.sep in text or text.lower().endswith((*naming.SUFFIXES, ".zip")):
        return f"{shown} does not exist; expected {right}"
    data_dir = os.environ.get(DATA_DIR_VARIABLE)
    lost = ""
    if data_dir and kind(home(Path(data_dir))) != "folder":
        lost = f" (the folder {printable(data_dir)} named by {DATA_DIR_VARIABLE} does not exist)"
    names = dict.fromkeys((*known, *CATALOGUE))
    return (
        f'there is no data set "{shown}"; expected {", ".join(names)}{lost}, {right}{suggestion(text, names)}'
    )
