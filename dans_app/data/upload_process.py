"""Files of strangers are read by a process of their own, `python -m dans_app.data.upload_process`.

It has bounds of memory and time. Whatever a file does to it, the server goes on, and says in a sentence what happened.
"""

from __future__ import annotations

import dataclasses
import json
import os
import resource
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dans_app.data import upload_preview
from dans_app.server import helper
from dans_core.kg import KnowledgeGraph
from dans_data import SPLITS, Dataset, Limits, Triplet, from_uploads
from dans_data.columns import Columns
from dans_data.errors import InputError
from dans_data.faults import BadLinesError, Fault
from dans_data.limits import LIMITS_VARIABLE
from dans_data.notes import Doubt, Remark, SplitHere
from dans_data.text import EncodingError
from dans_data.words import bytes_in_words, duration
from dans_lab import survey
from dans_lab.budget.estimates import free_memory
from dans_lab.survey import Finding

File = tuple[str, bytes]
"""Name and content."""

FIRST_ROWS = 10
ROWS_AS_THEY_STAND = 4

SMALL = 2_000_000
"""Bytes of files up to which they are read by a process that waits for them; larger ones do not hold it up."""

MOST_MEMORY = 4_000_000_000
"""Bytes that reading may take, for as many triplets as are allowed where no one raised the limit."""

LEAST_MEMORY = 500_000_000
"""Bytes that the process has before it reads anything, and some more."""

_IN_TERMINAL = "python -m dans_core datasets --add FILE in a terminal has no such bound"

_SMALL_FILES = helper.HelperProcess(__name__, seconds=120.0, idle=600.0)
_LARGE_FILES = helper.HelperProcess(__name__, seconds=900.0, idle=60.0, waiting=8, patience=900.0)


@dataclass(frozen=True, eq=False)
class Reading:
    """What files hold.

    `way` says how they are written, `rows` are the first triplets in the order of the file, or of train; `sizes` are
    the distinct triplets of each split. `way`, `notes`, `doubts` and `findings` are plain text with names from the
    files. `names` and `triplets`, numbers of names by split, are the data set.
    """

    name: str
    split_seed: int | None
    way: str
    rows: list[Triplet]
    entities: int
    relations: int
    sizes: dict[str, int]
    notes: tuple[str, ...]
    doubts: tuple[str, ...]
    findings: tuple[Finding, ...]
    all_notes: tuple[str, ...]
    names: npt.NDArray[np.uint8]
    triplets: dict[str, npt.NDArray[np.int32]]

    @cached_property
    def dataset(self) -> Dataset:
        """The data set by names, which takes many times the memory of its numbers."""
        names = self.names.tobytes().decode().split("\n")
        splits = {
            split: [(names[head], names[relation], names[tail]) for head, relation, tail in rows.tolist()]
            for split, rows in self.triplets.items()
        }
        return Dataset(self.name, splits, tuple(map(Remark, self.all_notes)), self.split_seed)


def warm_up() -> None:
    """Have a process ready for small files. Returns at once."""
    _SMALL_FILES.warm_up()


def read(
    files: Sequence[File], title: str, seed: int, columns: Columns
) -> tuple[Reading | InputError, list[list[str]]]:
    """What these files hold, or in one sentence why that cannot be told; and the first rows of a table."""
    size = sum(len(data) for _, data in files)
    process = _SMALL_FILES if size <= SMALL else _LARGE_FILES
    told = {
        "names": [name for name, _ in files],
        "title": title,
        "seed": seed,
        "columns": dataclasses.asdict(columns),
        "limits": os.environ.get(LIMITS_VARIABLE, ""),
        "memory": _memory(),
    }
    content = {f"file{place}": np.frombuffer(data, dtype=np.uint8) for place, (_, data) in enumerate(files)}
    try:
        answer = process.ask(told=json.dumps(told), **content)
    except InputError as error:
        return error, []
    except TimeoutError:
        seconds = duration(process.seconds or 0)
        return InputError(f"reading it was given up after {seconds}; take a smaller file; {_IN_TERMINAL}"), []
    except RuntimeError as error:
        return InputError(f"it could not be read ({error}); nothing was kept, and the app goes on"), []
    about = json.loads(str(answer["about"]))
    return (_mistake(about) if "mistake" in about else _reading(about, answer)), about["first"]


def _memory() -> int:
    most = MOST_MEMORY * max(1, Limits.from_environment().triplets // Limits().triplets)
    free = free_memory()
    return most if free is None else min(most, LEAST_MEMORY + free * 4 // 5)


def _mistake(about: dict[str, Any]) -> InputError:
    match about["kind"]:
        case "lines":
            return BadLinesError([Fault(*each) for each in about["faults"]], about["count"], about["read"])
        case "encoding":
            return EncodingError(about["mistake"], about["hint"])
        case _:
            return InputError(about["mistake"])


def _reading(about: dict[str, Any], answer: helper.Arrays) -> Reading:
    return Reading(
        about["name"],
        about["split_seed"],
        about["way"],
        [(head, relation, tail) for head, relation, tail in about["rows"]],
        about["entities"],
        about["relations"],
        about["sizes"],
        tuple(about["notes"]),
        tuple(about["doubts"]),
        tuple(Finding(*each) for each in about["findings"]),
        tuple(about["all_notes"]),
        answer["names"],
        {split: answer[split] for split in SPLITS},
    )


# --- in the process --------------------------------------------------------------------------------------------


def _answer(request: helper.Arrays) -> helper.Arrays:
    if not request:
        return {}
    told = json.loads(str(request["told"]))
    os.environ[LIMITS_VARIABLE] = told["limits"]
    _bound(told["memory"])
    files = [(name, request[f"file{place}"].tobytes()) for place, name in enumerate(told["names"])]
    places = told["columns"].pop("places")
    columns = Columns(places=places and tuple(places), **told["columns"])
    first: list[list[str]] = []
    try:
        # Shown also of what cannot be read.
        first = upload_preview.columns_of(files, ROWS_AS_THEY_STAND, columns)
        about, arrays = _read(files, told["title"], told["seed"], columns)
    except BadLinesError as error:
        faults = [dataclasses.astuple(each) for each in error.faults]
        about = {
            "mistake": str(error),
            "kind": "lines",
            "faults": faults,
            "count": error.count,
            "read": error.read,
        }
        arrays = {}
    except EncodingError as error:
        about, arrays = {"mistake": error.problem, "kind": "encoding", "hint": error.hint}, {}
    except InputError as error:
        about, arrays = {"mistake": str(error), "kind": ""}, {}
    except MemoryError:
        most = bytes_in_words(told["memory"])
        words = f"reading it needs more than {most} of memory; take a smaller file; {_IN_TERMINAL}"
        about, arrays = {"mistake": words, "kind": ""}, {}
    return {"about": np.array(json.dumps(about | {"first": first})), **arrays}


def _bound(memory: int) -> None:
    """From now on this process gets so many bytes of data at most; MemoryError beyond."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    # Some systems know no such limit; time is bounded there, too.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _read(
    files: Sequence[File], title: str, seed: int, columns: Columns
) -> tuple[dict[str, Any], helper.Arrays]:
    dataset = from_uploads(files, title, split_seed=seed, columns=columns)
    way, rows = upload_preview.preview(files, FIRST_ROWS, columns)
    kg = KnowledgeGraph.from_names(dataset.splits, dataset.name, dataset.notes)
    numbers: dict[str, int] = {}
    splits = {
        split: np.array(
            [numbers.setdefault(name, len(numbers)) for triplet in dataset.splits[split] for name in triplet],
            dtype=np.int32,
        ).reshape(-1, 3)
        for split in SPLITS
    }
    about = {
        "name": dataset.name,
        "split_seed": dataset.split_seed,
        "way": way,
        "rows": rows,
        "entities": kg.num_entities,
        "relations": kg.num_relations,
        "sizes": {split: len(kg.array(split)) for split in SPLITS},
        # The panel shows the split itself.
        "notes": [str(note) for note in kg.read_notes if not isinstance(note, SplitHere | Doubt)],
        "doubts": [str(note) for note in kg.read_notes if isinstance(note, Doubt)],
        "findings": [dataclasses.astuple(each) for each in survey.findings(kg)],
        "all_notes": [str(note) for note in dataset.notes],
    }
    # No name has the end of a line in it.
    return about, {"names": np.frombuffer("\n".join(numbers).encode(), dtype=np.uint8), **splits}


if __name__ == "__main__":
    helper.serve(_answer)
