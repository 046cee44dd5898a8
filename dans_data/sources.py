"""A data set from what a person names or uploads: a known name, a folder, a file, an archive."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO

from dans_data import archives, bridge, idnames, naming
from dans_data.catalogue import CATALOGUE
from dans_data.columns import Columns
from dans_data.errors import InputError
from dans_data.fetch import fetch
from dans_data.files import check_kind, dictionary_files, home, kind, part_of, split_files
from dans_data.limits import Limits
from dans_data.notes import Duplicates, ReadingNote, SplitHere, SplitsTaken
from dans_data.places import DATA_DIR_VARIABLE, folders, own_notes, own_place
from dans_data.reading import Reader
from dans_data.splitting import split_triplets
from dans_data.text import TripletFile
from dans_data.triplets import SPLITS, Dataset, Triplet, printable, suggestion

_SMALLEST_FILE = 10


def load(
    source: str | os.PathLike[str],
    split_seed: int = 0,
    limits: Limits | None = None,
    columns: Columns | None = None,
) -> Dataset:
    """Read a data set: a known name, a folder with train, valid and test, or one file, packed or not.

    A file is a table (.txt, .tsv, .csv, .parquet), RDF (.nt, .nq, and by rdflib .ttl, .trig, .n3, .rdf, .owl) or JSON
    lines (.jsonl), each also as .gz; or a .zip with one such file or with train, valid and test. Dictionaries beside
    them (entities.dict, entity2id.txt) name ids. One file is split here by `split_seed`; where valid or test has no
    file, some of train are taken for it. The seed changes nothing where all three have one; an empty valid file means
    none is wanted. `limits` are those of the environment if none are given; `columns` is what a person says of those of
    a table, and of lines that are no triplets.

    A string that is a known name means that data set, even where a folder of this name lies in the working
    folder ("./umls" or a `Path` means the folder). Bundled data sets come before those in `DANS_DATA_DIR`. One of
    the catalogue that is not here is downloaded, and "pykeen:NAME" is what PyKEEN knows by that name.

    Raises:
        InputError: nothing is there, a split is missing or empty, or a limit is passed.
        BadLinesError: lines are no triplets; with all of them.
    """
    seed = _checked_seed(split_seed)
    limits = limits or Limits.from_environment()
    known = folders()
    if isinstance(source, str) and source in known:
        is_own = known[source] == own_place(source)
        found = _of_folder(known[source], source, seed, limits, plain=is_own)
        if is_own:
            found = replace(found, notes=(*own_notes(source), *found.notes))
        return found
    if isinstance(source, str) and source.startswith(bridge.PREFIX):
        return bridge.load(source)
    if isinstance(source, str) and source in CATALOGUE:
        return _of_folder(fetch(source), source, seed, limits)
    text = os.fspath(source)
    path = home(Path(text))
    what = kind(path) if text else "nothing"
    if what == "folder":
        return _of_folder(path, printable(path.resolve().name), seed, limits, columns)
    if what != "file":
        raise InputError(_not_found(text, what, known))
    name = naming.title(path.name)
    if not naming.is_zip(path.name):
        return _of_parts(part_of(path), name, seed, limits, columns)
    try:
        with path.open("rb") as stream:
            return _of_zip(stream, printable(str(path)), name, seed, limits, columns)
    except OSError as error:
        raise InputError(
            f"{printable(str(path))} cannot be read ({error.strerror}); expected a zip archive"
        ) from error


def from_uploads(
    files: Sequence[tuple[str, bytes]],
    name: str,
    split_seed: int = 0,
    limits: Limits | None = None,
    columns: Columns | None = None,
) -> Dataset:
    """A data set called `name` from files with their names: one as `load` takes it, or those of a folder.

    Nothing is written to disk, and nothing is read from it.

    Raises:
        InputError: other files than these, or a limit is passed.
        BadLinesError: lines are no triplets; with all of them.
    """
    seed = _checked_seed(split_seed)
    limits = limits or Limits.from_environment()
    title = printable(name)
    if not files:
        raise InputError("nothing was uploaded; expected one file of triplets, or train, valid and test")
    if len(files) == 1:
        where, data = printable(naming.base(files[0][0])), files[0][1]
        if naming.is_zip(where):
            return _of_zip(BytesIO(data), where, title, seed, limits, columns)
        return _of_parts(_uploaded(where, data), title, seed, limits, columns)
    names = [printable(naming.base(file)) for file, _ in files]
    together = f"the upload of {', '.join(names[:4])}{', …' if len(names) > 4 else ''}"
    if not all(naming.dictionary_of(file) or naming.split_of(file) for file in names):
        raise InputError(
            f"{together} is {len(files)} files; expected one file of triplets or one .zip alone, "
            "or files named train, valid and test, with dictionaries of their ids if they have any"
        )
    uploaded = [(file, _uploaded(file, data)) for file, (_, data) in zip(names, files, strict=True)]
    dictionaries = naming.by_dictionary(uploaded, together)
    splits = [(file, part) for file, part in uploaded if not naming.dictionary_of(file)]
    return _of_parts(naming.by_split(splits, together), title, seed, limits, columns, dictionaries)


def _uploaded(where: str, data: bytes) -> TripletFile:
    if not naming.dictionary_of(where):
        check_kind(where, where)
    gzipped = naming.is_gzip(where)
    return TripletFile(
        where, naming.form_of(where), partial(BytesIO, data), len(data) if gzipped else 0, gzipped
    )


def _of_folder(
    folder: Path,
    name: str,
    seed: int,
    limits: Limits,
    columns: Columns | None = None,
    plain: bool = False,
) -> Dataset:
    """`plain`: whether this program wrote the files."""
    parts = {split: part_of(file) for split, file in split_files(folder).items()}
    if plain:
        parts = {split: replace(part, form="plain") for split, part in parts.items()}
    dictionaries = {kind: part_of(file) for kind, file in dictionary_files(folder).items()}
    return _of_parts(parts, name, seed, limits, columns, dictionaries)


def _of_zip(
    stream: IO[bytes], where: str, name: str, seed: int, limits: Limits, columns: Columns | None = None
) -> Dataset:
    with archives.opened(stream, where, limits) as (parts, dictionaries, left_out):
        found = _of_parts(parts, name, seed, limits, columns, dictionaries)
    return replace(found, notes=(*found.notes, *left_out))


def _of_parts(
    parts: TripletFile | Mapping[str, TripletFile],
    name: str,
    seed: int,
    limits: Limits,
    columns: Columns | None = None,
    dictionaries: Mapping[str, TripletFile] | None = None,
) -> Dataset:
    """One file, to be split, or one for each split; `dictionaries` of "entities", "relations", "labels"."""
    reader = Reader(limits, columns)
    if isinstance(parts, TripletFile):
        triplets = reader.read(parts)
        reader.settle()
        splits, notes = _split(triplets, parts.where, seed)
        return Dataset(name, splits, (*notes, *reader.notes), seed)
    splits = {split: reader.read(part) for split, part in parts.items()}
    reader.settle()
    for split, triplets in splits.items():
        # An empty valid file is how a person says that nothing is to be held out for it.
        if not triplets and split != "valid":
            raise InputError(
                f"{parts[split].where} holds no triplets; expected lines of head, relation, tail"
            )
    if dictionaries:
        ids = {
            kind: (part.where, reader.names(part, kind == "labels")) for kind, part in dictionaries.items()
        }
        splits = idnames.named(splits, ids)
    if len(splits) == len(SPLITS):
        return Dataset(name, splits, tuple(reader.notes))
    try:
        splits, notes = _completed(splits, parts["train"].where, seed)
    except InputError as error:
        missing = " and ".join(split for split in SPLITS if split not in parts)
        raise InputError(f"there is no file for {missing}, and {error}") from None
    return Dataset(name, splits, (*notes, *reader.notes), seed)


def _completed(
    given: Mapping[str, list[Triplet]], where: str, seed: int
) -> tuple[dict[str, list[Triplet]], list[ReadingNote]]:
    """Valid or test, which has no file, taken from train."""
    taken, notes = _split(given["train"], where, seed)
    if list(given) == ["train"]:
        return taken, notes
    missing = [split for split in SPLITS if split not in given]
    held_out = {triplet for split in missing for triplet in taken[split]}
    splits = {split: taken[split] if split in missing else list(given[split]) for split in SPLITS}
    splits["train"] = [triplet for triplet in given["train"] if triplet not in held_out]
    return splits, [SplitsTaken({split: len(splits[split]) for split in missing}, seed)]


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
