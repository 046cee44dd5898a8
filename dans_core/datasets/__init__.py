"""Where triplets come from: named data sets, folders and single files, read and checked as names.

A data set is three splits of (head, relation, tail) names. Its files are UTF-8 text, one triplet a line,
separated by tabs. A byte order mark, CRLF, blank lines and spaces around names are tolerated; anything else
out of place is an `InputError`.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dans_core.errors import InputError

Triplet = tuple[str, str, str]

SPLITS = ("train", "valid", "test")
SUFFIXES = (".txt", ".tsv")
BUNDLED = Path(__file__).resolve().parents[2] / "assets" / "kg"
DATA_DIR_VARIABLE = "DANS_DATA_DIR"

RECIPROCAL = "⁻¹"
"""The ending of a reciprocal relation's name; relations of a data set may not end with it."""

RESERVED_ENDING = f"ends with {RECIPROCAL}, which is kept for reciprocal relations; rename it"

SPLIT_SEED = "dans-split-0"
"""Fixed, so that one file is split the same way everywhere; part of the hash that orders the triplets."""

_HELD_OUT = 0.1
_SMALLEST_FILE = 10
_HEADERS = {("head", "relation", "tail"), ("subject", "predicate", "object")}

# Control characters, line and paragraph separators, byte order marks: unseen, two names look like one.
_UNPRINTABLE = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff"
_UNPRINTABLE_IN_TEXT = re.compile(f"[{_UNPRINTABLE}]")
_UNPRINTABLE_IN_NAME = re.compile(f"[{_UNPRINTABLE}\t\n\ud800-\udfff]")

_ABOUT = {
    "umls": (
        "PyPI package pykeen 1.11.1; McCray 2003",
        "Types of biomedical concepts and how they relate (UMLS semantic network).",
    ),
    "kinships": (
        "PyPI package pykeen 1.11.1; Denham 1973, Kemp et al. 2006",
        "Kinship terms between members of the Alyawarra people of central Australia.",
    ),
    "nations": (
        "PyPI package pykeen 1.11.1; Rummel, Kemp et al. 2006",
        "Relations between 14 countries, 1950 to 1965.",
    ),
    "wn18rr": (DATA_DIR_VARIABLE, "WordNet: how English word senses relate, without trivial inverses."),
    "nell-995": (
        DATA_DIR_VARIABLE,
        "Facts that the NELL system read on the web (split of PathCon and of the DANS paper).",
    ),
}


@dataclass(frozen=True)
class Dataset:
    """What `load` found: the named triplets of each split, in file order, and what a reader should know."""

    name: str
    splits: Mapping[str, list[Triplet]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatasetInfo:
    """One data set that `load` knows by name.

    `train`, `valid` and `test` count distinct triplets. All counts are 0 where there is a `problem`.
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


def load(source: str | os.PathLike[str]) -> Dataset:
    """Read a data set: a known name, a folder with train, valid and test (.txt or .tsv), or one file.

    A string that is a known name means that data set, even where a folder of this name lies in the working
    folder ("./umls" or a `Path` means the folder). Bundled data sets come before those in `DANS_DATA_DIR`.

    Raises:
        InputError: nothing is there, a split is missing or empty, or a line is not a triplet.
    """
    known = _known()
    if isinstance(source, str) and source in known:
        return _load_folder(known[source], source)
    text = os.fspath(source)
    path = _home(Path(text))
    kind = _kind(path) if text else "nothing"
    if kind == "folder":
        return _load_folder(path, path.resolve().name)
    if kind == "file":
        return _load_file(path)
    raise InputError(_not_found(text, kind, known))


def available() -> list[DatasetInfo]:
    """The data sets that `load` knows by name: the bundled ones, then those in the folder `DANS_DATA_DIR`.

    A folder that cannot be read as a data set is listed with its `problem`. Counts are kept until a file
    changes.
    """
    found = []
    for name, path in _known().items():
        origin, description = _ABOUT.get(
            name, (DATA_DIR_VARIABLE, f"The folder {name} in {DATA_DIR_VARIABLE}.")
        )
        try:
            files = tuple(_split_file(path, split) for split in SPLITS)
            counts = _counts(files, tuple((file.stat().st_mtime_ns, file.stat().st_size) for file in files))
            found.append(DatasetInfo(name, path, *counts, origin, description))
        except (InputError, OSError) as error:
            found.append(DatasetInfo(name, path, 0, 0, 0, 0, 0, origin, description, str(error)))
    return found


def read_triplets(file: Path) -> list[Triplet]:
    """The triplets of one file, in its order, duplicates included.

    Raises:
        InputError: unreadable, not text, or a line that is not three names; with file and line number.
    """
    triplets: list[Triplet] = []
    for number, line in enumerate(_text(file).split("\n"), start=1):
        columns = line.split("\t")
        if len(columns) == 3:
            head, relation, tail = (column.strip(" ") for column in columns)
            if not (head and relation and tail):
                empty = "head" if not head else "relation" if not relation else "tail"
                raise InputError(
                    f"{file}, line {number}: the name of the {empty} is empty, expected three names"
                )
            if relation.endswith(RECIPROCAL):
                raise InputError(f'{file}, line {number}: relation "{relation}" {RESERVED_ENDING}')
            if not triplets and (head.lower(), relation.lower(), tail.lower()) in _HEADERS:
                raise InputError(
                    f"{file}, line {number}: this is a header, expected triplets only; remove the line"
                )
            triplets.append((head, relation, tail))
        elif line.strip(" "):
            columns_found = f"{len(columns)} column{'s' if len(columns) > 1 else ''}"
            raise InputError(
                f"{file}, line {number}: {columns_found}, expected 3: head, relation, tail separated by tabs"
            )
    return triplets


def name_problem(name: str) -> str | None:
    """What is wrong with the name of an entity or relation, in words, or None: empty, padded, unprintable."""
    if not name.strip(" "):
        return "is empty"
    if name != name.strip(" "):
        return "begins or ends with a space"
    if bad := _UNPRINTABLE_IN_NAME.search(name):
        return f"contains the character U+{ord(bad[0]):04X}, which cannot be printed"
    return None


def suggestion(wrong: str, names: Iterable[str]) -> str:
    """`; did you mean "…"?` with the names that look like `wrong`, or nothing."""
    by_lower = {name.lower(): name for name in names}
    close = [by_lower[lower] for lower in difflib.get_close_matches(wrong.lower(), by_lower, n=3)]
    quoted = " or ".join(f'"{name}"' for name in close)
    return f"; did you mean {quoted}?" if close else ""


def split_triplets(triplets: Iterable[Triplet]) -> dict[str, list[Triplet]]:
    """Split distinct triplets 80 / 10 / 10 such that every entity and relation occurs in train.

    The triplets are put in the order of a hash of their names and of `SPLIT_SEED`, so the split depends on
    the set of triplets alone, not on line order, versions or machines. In this order one is held out, for
    test and valid in turn, when its head, relation and tail each remain in train. Where names that occur once
    leave too few to hold out, valid and test are smaller than 10 %; they may be empty.
    """
    ordered = sorted(set(triplets), key=_hash_order)
    entities = Counter(name for head, _, tail in ordered for name in (head, tail))
    relations = Counter(relation for _, relation, _ in ordered)
    wanted = round(_HELD_OUT * len(ordered))
    train: list[Triplet] = []
    held_out: list[Triplet] = []
    for triplet in ordered:
        head, relation, tail = triplet
        ends = Counter((head, tail))
        stays = relations[relation] > 1 and all(entities[name] > uses for name, uses in ends.items())
        if len(held_out) < 2 * wanted and stays:
            entities.subtract(ends)
            relations[relation] -= 1
            held_out.append(triplet)
        else:
            train.append(triplet)
    return {"train": train, "valid": held_out[1::2], "test": held_out[::2]}


def _hash_order(triplet: Triplet) -> bytes:
    return hashlib.sha256("\t".join((SPLIT_SEED, *triplet)).encode()).digest()


def _load_folder(folder: Path, name: str) -> Dataset:
    files = {split: _split_file(folder, split) for split in SPLITS}
    splits = {split: read_triplets(file) for split, file in files.items()}
    for split, triplets in splits.items():
        if not triplets:
            raise InputError(f"{files[split]} holds no triplets; expected lines of head, relation, tail")
    return Dataset(name, splits)


def _load_file(file: Path) -> Dataset:
    triplets = read_triplets(file)
    distinct = len(set(triplets))
    if distinct < _SMALLEST_FILE:
        raise InputError(
            f"{file} holds {distinct} distinct triplets, too few to split into train, valid and test; "
            f"expected {_SMALLEST_FILE} or more, or a folder with the three files"
        )
    splits = split_triplets(triplets)
    if not (splits["valid"] and splits["test"]):
        raise InputError(
            f"{file} cannot be split: nearly every triplet has a name that occurs nowhere else and that "
            "train would never see; expected more triplets for each name, or a folder with the three files"
        )
    sizes = " / ".join(f"{len(splits[split]):,}" for split in SPLITS)
    notes = [f"one file, split here into train / valid / test {sizes}, every name occurring in train"]
    if repeated := len(triplets) - distinct:
        notes.append(f"duplicate triplets dropped from {file.name}: {repeated:,}")
    return Dataset(file.stem, splits, tuple(notes))


def _known() -> dict[str, Path]:
    """Name to folder. Names come from listing folders, never from joining a person's text to a path."""
    known: dict[str, Path] = {}
    data_dir = os.environ.get(DATA_DIR_VARIABLE)
    for parent in (BUNDLED, _home(Path(data_dir))) if data_dir else (BUNDLED,):
        try:
            folders = sorted(parent.iterdir())
        except OSError:
            continue
        for folder in folders:
            if any(_kind(folder / f"train{suffix}") != "nothing" for suffix in SUFFIXES):
                known.setdefault(folder.name, folder)
    return known


def _home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # "~name" of no such person is an ordinary, missing, path
        return path


def _kind(path: Path) -> str:
    """One of folder, file, other (a device, a pipe, or behind a closed door), nothing."""
    try:
        mode = path.stat().st_mode
    except PermissionError:
        return "other"
    except (OSError, ValueError):  # too long a name, a zero in it
        return "nothing"
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"


def _not_found(text: str, kind: str, known: Mapping[str, Path]) -> str:
    right = "a folder with train, valid and test (.txt or .tsv), or one file of triplets"
    if kind == "other":
        return f"{text} is neither a folder nor a file that can be read; expected {right}"
    if os.sep in text or text.endswith(SUFFIXES):
        return f"{text} does not exist; expected {right}"
    data_dir = os.environ.get(DATA_DIR_VARIABLE)
    lost = ""
    if data_dir and _kind(_home(Path(data_dir))) != "folder":
        lost = f" (the folder {data_dir} named by {DATA_DIR_VARIABLE} does not exist)"
    names = ", ".join(known)
    return f'there is no data set "{text}"; expected {names}{lost}, {right}{suggestion(text, known)}'


def _split_file(folder: Path, split: str) -> Path:
    found = [file for suffix in SUFFIXES if _kind(file := folder / f"{split}{suffix}") != "nothing"]
    if not found:
        raise InputError(f"{folder} has no {split}.txt or {split}.tsv; expected train, valid and test")
    if len(found) > 1:
        raise InputError(f"{folder} has both {split}.txt and {split}.tsv; expected one of them")
    return found[0]


def _text(file: Path) -> str:
    kind = _kind(file)
    if kind == "folder":
        raise InputError(f"{file} is a folder; expected a file of triplets")
    # Reading a pipe or a device could wait for ever.
    if kind == "other":
        raise InputError(f"{file} is not a file that can be read; expected a file of triplets")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); expected a file of triplets") from error
    zero = data.find(b"\0")
    if zero >= 0:
        raise InputError(
            f"{file}, line {_line(data, zero)}: byte {zero + 1} of the file is zero, so it is not text; "
            "expected UTF-8 text, one triplet a line"
        )
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{file}, line {_line(data, error.start)}: byte {error.start + 1} of the file is not UTF-8; "
            "expected UTF-8 text, one triplet a line"
        ) from error
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if bad := _UNPRINTABLE_IN_TEXT.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        raise InputError(
            f"{file}, line {line}: the control character U+{ord(bad[0]):04X}; "
            "expected printable names separated by tabs"
        )
    return text


def _line(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


@lru_cache(maxsize=64)
def _counts(files: tuple[Path, ...], stamps: tuple[tuple[int, int], ...]) -> tuple[int, int, int, int, int]:
    """Entities, relations, and distinct triplets of each split; `stamps` (time, size) renew a kept answer."""
    splits = [set(read_triplets(file)) for file in files]
    entities = {name for split in splits for head, _, tail in split for name in (head, tail)}
    relations = {relation for split in splits for _, relation, _ in split}
    train, valid, test = (len(split) for split in splits)
    return len(entities), len(relations), train, valid, test
