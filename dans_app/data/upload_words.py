"""What the upload panel says: the forms it takes and its limits, what was read, and the sample file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dans_app.data.upload_process import Reading
from dans_app.shared.words import markdown_text
from dans_data import LIMITS_VARIABLE, SPLITS, Limits
from dans_data.words import plural

FORMS = (
    "One triplet a line: head, relation, tail.\n\n"
    "- **.txt**, **.tsv**, **.csv**: a table, its columns separated by tabs, commas or semicolons; a first line that "
    "names the columns head, relation and tail (or subject, predicate, object) says which is which, and other "
    "columns are left out\n"
    "- **.nt**, **.nq**: N-Triples and N-Quads, as exported from RDF; texts and numbers are left out\n"
    "- **.ttl**, **.trig**, **.n3**, **.rdf**, **.owl**: RDF, where rdflib is installed\n"
    "- **.jsonl**: an object with head, relation and tail on each line\n"
    "- **.parquet**: a table, its columns as in the others\n"
    "- each of them packed as **.gz**, or in a **.zip**\n\n"
    "One file is split here. Files named train, valid (or val, dev) and test, dropped together or in one .zip, stay as "
    "they are; files of ids may have entities.dict and relations.dict (or entity2id.txt and relation2id.txt) beside "
    "them."
)

ABOUT = (
    "Drop one file of triplets, which is split here, or three files: train, valid and test. Text, CSV, RDF, "
    "JSON lines or Parquet; also .gz or .zip. Nothing is kept before you say so."
)

SPLIT_HERE = (
    "as near to 80 / 10 / 10 as leaves every name in train. The same seed gives the same split everywhere."
)

NOTHING_ODD = (
    ":material/check: Nothing odd was found: no triplet twice or in two splits, no reversed copies in train, and train "
    "shows every entity."
)

_COUNTRIES = {
    "france": ("europe", "paris", "lyon", "marseille"),
    "germany": ("europe", "berlin", "hamburg", "munich"),
    "poland": ("europe", "warsaw", "krakow", "gdansk"),
    "japan": ("asia", "tokyo", "osaka", "kyoto"),
    "india": ("asia", "delhi", "mumbai", "chennai"),
}


def _sample() -> bytes:
    rows = []
    for country, (continent, capital, *others) in _COUNTRIES.items():
        rows.append((country, "located in", continent))
        rows.append((capital, "capital of", country))
        for city in (capital, *others):
            rows.append((city, "located in", country))
            rows.append((city, "lies on", continent))
    return "".join("\t".join(row) + "\n" for row in rows).encode()


SAMPLE = _sample()
"""A file as it should look: head, relation and tail on each line, separated by tabs."""


def limits(megabytes: int) -> str:
    """How large files may be; `megabytes` is what the server takes. Raises InputError for limits that make no sense."""
    most = Limits.from_environment()
    return (
        f"Up to {megabytes:,} MB a file (a larger one turns red and is not read), "
        f"{_round_number(most.triplets)} triplets and {_round_number(most.entities)} entities."
    )


def more() -> str:
    """How to allow larger files, for a hover."""
    most = Limits.from_environment()
    return (
        "To allow larger files, start the app with `--server.maxUploadSize 200` (MB), or pack them. To allow more "
        f"triplets, set the variable `{LIMITS_VARIABLE}`, such as `triplets={2 * most.triplets} entities="
        f"{2 * most.entities}`; they are held in memory."
    )


def replaced(old: Sequence[str], new: Sequence[str]) -> str:
    """Which files on the panel no longer count."""
    verb, whose = plural(len(old), "is", "are"), plural(len(old), "its", "their")
    return f"{_named(old)} {verb} not used any more: {_named(new)} took {whose} place."


def headline(reading: Reading) -> str:
    """What was read, counted."""
    total = sum(reading.sizes.values())
    return (
        f"**{markdown_text(reading.dataset.name)}** · {reading.entities:,} entities · "
        f"{reading.relations:,} relations · {total:,} triplets"
    )


def shares(sizes: Mapping[str, int]) -> str:
    """The sizes of the splits, such as "Train 5,216 (80 %), valid 652 (10 %), test 661 (10 %)"."""
    total = sum(sizes.values())
    return (
        "T"
        + ", ".join(f"{split} {sizes[split]:,} ({100 * sizes[split] / total:.0f} %)" for split in SPLITS)[1:]
    )


def _named(names: Sequence[str]) -> str:
    return ", ".join(f"“{markdown_text(name, 60)}”" for name in names)


def _round_number(number: int) -> str:
    """ "5 million", "250,000"."""
    return f"{number / 1e6:g} million" if number >= 1_000_000 else f"{number:,}"
