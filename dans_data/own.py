"""A person's data sets, kept under a name of their choice."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

from dans_data.cache import OWN_DIR_VARIABLE, arriving, turn
from dans_data.catalogue import CATALOGUE
from dans_data.errors import InputError
from dans_data.files import read_triplets
from dans_data.places import ABOUT, OWN_NAME, folders, own_place, time_and_size
from dans_data.places import own_names as names
from dans_data.triplets import SPLITS, Dataset, counts, facts_hash, printable, suggestion

__all__ = ["add", "mended", "name_error", "names", "remove", "suggested_name"]

_LONGEST_TITLE = 120


def add(dataset: Dataset, name: str, title: str = "", original: str = "") -> Path:
    """Keep a data set under a name that `load` knows from then on; the folder it lies in.

    Beside the three files lies about.json: `title`, the `original` file's name, `added` (ISO 8601, UTC), the
    `split_seed` (None where it was split already), `notes`, the `hash` of the facts, and `counts`.

    Raises:
        InputError: a name that is taken or bad, a data set that cannot be used, or a folder that cannot be written.
    """
    if problem := name_error(name):
        raise InputError(problem)
    for split in SPLITS:
        if not dataset.splits[split]:
            raise InputError(
                f"{dataset.name} has no {split} triplets; expected some in train, valid and test"
            )
    place = own_place(name)
    with turn(place, OWN_DIR_VARIABLE):
        if place.exists():
            raise InputError(_taken(name))
        with arriving(place) as partial:
            for split in SPLITS:
                lines = ("\t".join(triplet) + "\n" for triplet in dataset.splits[split])
                (partial / f"{split}.txt").write_text("".join(lines), encoding="utf-8", newline="\n")
                # What is kept can be loaded again.
                read_triplets(partial / f"{split}.txt", plain=True)
            about = _about(dataset, partial, title or dataset.name, original)
            text = json.dumps(about, ensure_ascii=False, indent=1) + "\n"
            (partial / ABOUT).write_text(text, encoding="utf-8", newline="\n")
    return place


def remove(name: str) -> None:
    """Delete a person's data set; runs that were trained on it stay, but cannot be continued or evaluated.

    Raises:
        InputError: it is not one of `names()`, or its folder cannot be written.
    """
    if name not in (own := names()):
        which = f"yours are {', '.join(own)}{suggestion(name, own)}" if own else "you have added none"
        raise InputError(
            f'"{printable(name, 60)}" is not one of your own data sets, and only those can be removed; {which}'
        )
    place = own_place(name)
    with turn(place, OWN_DIR_VARIABLE):
        # Gone at once, however long the deletion takes.
        trash = place.with_name(f"{name}.partial-{secrets.token_hex(4)}")
        place.rename(trash)
        shutil.rmtree(trash)


def name_error(name: str) -> str | None:
    """Why a person's data set cannot have this name, in one sentence, or None."""
    if not OWN_NAME.fullmatch(name):
        return f'"{printable(name, 60)}" cannot name a data set; expected 1 to 40 of a-z, 0-9 and "-"'
    if name in CATALOGUE or name in folders():
        return _taken(name)
    return None


def suggested_name(text: str) -> str:
    """A name made of a file's name or of anything else: as `mended`, or "my-data" where nothing is left."""
    return mended(text) or "my-data"


def mended(text: str) -> str:
    """A name as near to a person's as it can be: lower case, no accents, "-" for what cannot stand in it; may be ""."""
    plain = unicodedata.normalize("NFKD", text.lower().replace("ß", "ss"))
    bare = "".join(character for character in plain if not unicodedata.combining(character))
    return re.sub(r"[^a-z0-9]+", "-", bare).strip("-")[:40].strip("-")


def _taken(name: str) -> str:
    return f'there is a data set "{name}" already; choose another name'


def _about(dataset: Dataset, folder: Path, title: str, original: str) -> dict[str, object]:
    facts = {split: sorted(set(dataset.splits[split])) for split in SPLITS}
    return {
        "title": title[:_LONGEST_TITLE],
        "original": original,
        "added": datetime.now(UTC).isoformat(timespec="seconds"),
        "split_seed": dataset.split_seed,
        "notes": list(map(str, dataset.notes)),
        "hash": facts_hash(facts),
        "counts": list(counts(facts)),
        "stamps": [time_and_size(folder / f"{split}.txt") for split in SPLITS],
    }
