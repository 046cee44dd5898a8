"""Data sets that PyKEEN knows, by its own code and as it splits them; "pykeen:NAME".

PyKEEN runs in a process of its own, since it imports torch and keeps what it downloads where it likes unless told
before it is imported. That process writes the triplets as text; the next load reads the text alone.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from dans_data.cache import arriving, cache_dir, turn
from dans_data.errors import InputError
from dans_data.files import read_triplets
from dans_data.notes import Remark
from dans_data.triplets import SPLITS, Dataset, printable, suggestion

PREFIX = "pykeen:"

_ALSO_CALLED = {"codexs": "codexsmall", "codexm": "codexmedium", "codexl": "codexlarge"}
"""Names in papers, and PyKEEN's own."""

_ROOT = Path(__file__).resolve().parents[1]
_MISTAKE = 2
"""The exit code of the process for a person's mistake; what it printed is the sentence."""


def load(source: str) -> Dataset:
    """The data set "pykeen:NAME": its triplets by their labels, in PyKEEN's splits.

    PyKEEN may download it, into the cache here and nowhere else.

    Raises:
        InputError: PyKEEN is not installed, knows no such name, or cannot load it.
    """
    name = source.removeprefix(PREFIX)
    if not (key := re.sub(r"[^a-z0-9]", "", name.lower())):
        raise InputError(
            f'"{printable(source, 60)}" names no data set; expected {PREFIX}NAME, such as {PREFIX}nations'
        )
    if key in _ALSO_CALLED:
        name = key = _ALSO_CALLED[key]
    if importlib.util.find_spec("pykeen") is None:
        raise InputError(
            f'"{printable(source, 60)}" needs PyKEEN, which is not installed; install it by: pip install pykeen, '
            "or choose a data set by its name, folder or file"
        )
    version = metadata.version("pykeen")
    place = cache_dir() / "pykeen" / "as-text" / f"{key[:80]}-{version}"
    with turn(place):
        if not place.exists():
            with arriving(place) as partial:
                _write_by_pykeen(name, partial)
    notes = [
        Remark(
            f"as PyKEEN {version} has it: "
            "triplets of valid and test with a name that its train never shows are left out"
        )
    ]
    if key == "wn18rr":
        notes.append(Remark("not the WN18RR of the papers: scores do not compare with those on wn18rr"))
    return Dataset(
        f"{PREFIX}{key}", {split: read_triplets(place / f"{split}.txt") for split in SPLITS}, tuple(notes)
    )


def _write_by_pykeen(name: str, folder: Path) -> None:
    own = str(cache_dir() / "pykeen")
    environment = os.environ | {"PYSTOW_HOME": own, "PYKEEN_HOME": own}
    done = subprocess.run(
        [sys.executable, "-m", __name__, name, str(folder)],
        cwd=_ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == _MISTAKE:
        raise InputError(done.stdout.strip())
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise InputError(
            f'PyKEEN could not load "{printable(name, 60)}": {printable(last, 300)}; '
            "if it had to download, check the network"
        )


def _main(arguments: Sequence[str]) -> int:
    name, folder = arguments
    from pykeen.datasets import dataset_resolver
    from pykeen.triples import TriplesFactory

    try:
        chosen = dataset_resolver.lookup(name)
    except KeyError:
        known = suggestion(name, dataset_resolver.lookup_dict)
        print(
            f'PyKEEN has no data set "{printable(name, 60)}"{known or "; its documentation lists their names"}'
        )
        return _MISTAKE
    dataset = dataset_resolver.make(chosen)
    for split, factory in zip(SPLITS, (dataset.training, dataset.validation, dataset.testing), strict=True):
        if not isinstance(factory, TriplesFactory):
            print(f'"{name}" has no {split} triplets with names in PyKEEN; expected train, valid and test')
            return _MISTAKE
        lines = ("\t".join(triplet) + "\n" for triplet in factory.label_triples(factory.mapped_triples))
        (Path(folder) / f"{split}.txt").write_text("".join(lines), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
