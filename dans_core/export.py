"""What a run gives to other programs: its settings, metrics, negatives and embeddings, and the line that repeats it.

Plain numpy on the files of a run, without torch. The terminal's `export` and the app's downloads both come from here.
"""

from __future__ import annotations

import io
import shlex
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dans_core.config import Config
from dans_core.datasets import SPLITS
from dans_core.errors import InputError
from dans_core.events import Event, HealthWarning, Ranking, Snapshot, to_dict
from dans_core.kg import KnowledgeGraph
from dans_core.records import Stored, replace, to_json
from dans_core.runs import Arrays, Run
from dans_core.spreadsheet import csv_bytes

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Row = tuple[Any, ...]

METRIC_COLUMNS = ("epoch", "name", "value")
NEGATIVE_COLUMNS = (
    "epoch",
    "source",
    "head",
    "relation",
    "answer",
    "nearest entity",
    "cosine",
    "length",
    "score",
    "positive score",
    "D_adv",
    "D_aux",
    "known fact",
)

_ABOUT = """Run {run} of DANS Lab
{line}

Data set: {dataset}, sha256 {hash}
Decoder {decoder}, sampler {sampler}, {epochs:,} epochs, seed {seed}; the run is {state} at epoch {epoch:,}.
Made with {versions}.

To repeat it, in the folder of the program:

    {command}

The same data, seed, settings and versions give the same numbers.

config.json     the settings, the data set and its hash, the versions and the seed
metrics.csv     everything measured as it trained: epoch, name, value
"""

_ABOUT_SNAPSHOT = """negatives.csv   of the snapshot of epoch {epoch:,}: for each kept query one negative of each source
    epoch           epochs done when the snapshot was taken
    source          G_E or G_R, the pathways of the generator, or random
    head, relation  the query; NAME⁻¹ is the reciprocal relation, whose answers are heads of NAME
    answer          one true answer of the query, which the negative stands against
    nearest entity  by cosine, over all entities; a random negative is an entity itself
    cosine          to the nearest entity
    length          divided by the median length of an entity
    score           by the decoder: the higher, the more the model believes it
    positive score  the score of the answer
    D_adv           probability of being real, by the discriminator; empty without a GAN
    D_aux           probability of being made by G_R, by the discriminator
    known fact      the split that holds (head, relation, nearest entity), which makes it a false negative
embeddings.npz  of the same epoch: {embeddings}
entities.tsv    the entity embeddings, one a line, for projector.tensorflow.org (Load, step 1)
metadata.tsv    their names and how many training triplets each is in (Load, step 2)

In the CSV files, text that a spreadsheet would run as a formula has a ' in front.
"""


@dataclass(frozen=True)
class Exported:
    """What `export` wrote: the size in bytes of each file, and the epoch of the snapshot, None without one."""

    files: dict[str, int]
    epoch: int | None


def export(run: Run, folder: Path) -> Exported:
    """Write all of a run that other programs can use into a new or empty folder.

    A run without a snapshot gives no negatives and no embeddings.

    Raises:
        InputError: a folder that holds something or cannot be written, a data set that is gone, damaged files.
    """
    try:
        found = folder.exists()
        occupied = found and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror})") from None
    if occupied:
        what = "is not empty" if folder.is_dir() else "is a file"
        raise InputError(f"{folder} {what}; expected a new or an empty folder")
    kept = newest_snapshot(run)
    contents: dict[str, Callable[[], bytes]] = {
        "README.txt": lambda: about(run, kept).encode(),
        "config.json": lambda: config_json(run),
        "metrics.csv": lambda: metrics_csv(run),
    }
    if kept is not None:
        contents |= {
            "negatives.csv": lambda: negatives_csv(kept),
            "embeddings.npz": lambda: embeddings_npz(kept),
            "entities.tsv": lambda: vectors_tsv(kept),
            "metadata.tsv": lambda: metadata_tsv(kept.kg),
        }
    sizes: dict[str, int] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            data = content()
            sizes[name] = len(data)
            replace(folder / name, data)
    except BaseException as error:
        for name in sizes:
            (folder / name).unlink(missing_ok=True)
        if not found and folder.is_dir():
            folder.rmdir()
        if isinstance(error, OSError):
            raise InputError(f"{folder} cannot be written ({error.strerror})") from None
        raise
    return Exported(sizes, kept.epoch if kept else None)


# --- settings and metrics --------------------------------------------------------------------------------------


def command(run: Run) -> str:
    """The line that repeats the run in a terminal."""
    config = run.config
    given = ["decoder", "sampler", "epochs", "seed"]
    plain_config = Config(**{name: getattr(config, name) for name in given})
    words = ["python", "-m", "dans_core", "train", "--dataset", run.meta.source]
    for name in given:
        words += [f"--{name}", str(getattr(config, name))]
    for name in Config.model_fields:
        value = getattr(config, name)
        if value != getattr(plain_config, name):
            words += ["--set", f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
    return shlex.join(words)


def config_json(run: Run) -> bytes:
    """Settings, data set and hash, versions and seed, as in the run directory."""
    return to_json(Stored(**run.meta.model_dump(), config=run.config.model_dump()))


def metrics(events: Iterable[Event]) -> Iterator[tuple[int, str, float]]:
    """Every number of these events as epoch, name and value, such as 4, "ranking.valid.mrr", 0.31.

    A health warning is 1 where it begins and 0 where it ends.
    """
    for event in events:
        if isinstance(event, Snapshot):
            continue
        if isinstance(event, HealthWarning):
            parts = (event.kind, event.code, event.pathway)
            yield event.epoch, ".".join(part for part in parts if part), int(event.active)
            continue
        place = f"{event.kind}.{event.split}" if isinstance(event, Ranking) else event.kind
        record = to_dict(event)
        del record["epoch"]
        for name, value in _numbers(place, record):
            yield event.epoch, name, value


def metrics_csv(run: Run) -> bytes:
    """All events so far as `METRIC_COLUMNS`."""
    return csv_bytes(METRIC_COLUMNS, metrics(run.events()))


def about(run: Run, kept: Kept | None) -> str:
    """What an exported folder holds, in words, with the line that repeats the run."""
    status = run.status
    title = f"Run {run.id} of DANS Lab"
    text = _ABOUT.format(
        run=run.id,
        line="=" * len(title),
        dataset=run.meta.dataset,
        hash=run.meta.hash,
        decoder=run.config.decoder,
        sampler=run.config.sampler,
        epochs=run.config.epochs,
        seed=run.config.seed,
        state=status.state,
        epoch=status.epoch,
        versions=", ".join(f"{name} {version}" for name, version in run.meta.versions.items()),
        command=command(run),
    )
    if kept is None:
        return text + "\nThe run has kept no snapshot, so there are no negatives and no embeddings.\n"
    held = ["entities (N, dim)", "entity_names", "relation_names, reciprocals last"]
    if "relations" in kept.arrays:
        held.insert(1, "relations (2R, dim)")
    return text + _ABOUT_SNAPSHOT.format(epoch=kept.epoch, embeddings=", ".join(held))


def _numbers(place: str, value: Any) -> Iterator[tuple[str, float]]:
    """The numbers in a record and the records in it, with dotted names; words and what is missing are passed over."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _numbers(f"{place}.{name}", part)
    elif isinstance(value, bool | int | float):
        yield place, int(value) if isinstance(value, bool) else value


# --- what a snapshot holds ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Kept:
    """A snapshot: how many epochs were done, its graph, and its arrays as `diagnostics.snapshot_arrays` names them.

    Floats are in float32; what the snapshot does not hold is NaN, fakes without a GAN are none, and "relations" may
    be missing.
    """

    epoch: int
    kg: KnowledgeGraph
    arrays: Mapping[str, Any]

    @classmethod
    def of(cls, epoch: int, arrays: Arrays, kg: KnowledgeGraph) -> Kept:
        """Check the arrays of a snapshot file. Raises InputError where they are not of this graph."""
        return cls(epoch, kg, _checked(epoch, arrays, kg))


def newest_snapshot(run: Run) -> Kept | None:
    """The last snapshot of a run, or None. Raises InputError where it, or the data set, is damaged or gone."""
    found = run.snapshots()
    if not found:
        return None
    epoch = found[-1][0]
    return Kept.of(epoch, run.load_snapshot(epoch), run.load_kg())


def negatives(kept: Kept) -> Iterator[Row]:
    """Rows of `NEGATIVE_COLUMNS`: for each kept query the fake of G_E, then that of G_R, then the random entity.

    What is not known, such as D's opinion without a GAN, is None.
    """
    kg, arrays = kept.kg, kept.arrays
    entities, queries = arrays["entities"], arrays["queries"]
    heads, relations = queries.T
    drawn = arrays["random"]
    lengths = np.linalg.norm(entities, axis=1)
    typical = max(float(np.median(lengths)), 1e-12)
    known_in = [kg.known_in(split) for split in SPLITS]
    relation_names = [kg.relation_name(number) for number in range(2 * kg.num_relations)]

    def rows(
        source: str, which: Ids, nearest: Ids, cosine: Floats, length: Floats, *opinions: Floats
    ) -> Iterator[Row]:
        """One a query; `which` are the queries, all else is one a query of these."""
        split_of = np.full(len(which), -1)
        for number in reversed(range(len(SPLITS))):
            split_of[known_in[number].contains(heads[which], relations[which], nearest)] = number
        score, d_adv, d_aux = opinions
        numbers = zip(cosine, length / typical, score, arrays["score_true"][which], d_adv, d_aux, strict=True)
        for query, near, values, split in zip(which, nearest, numbers, split_of, strict=True):
            yield (
                kept.epoch,
                source,
                kg.entities[heads[query]],
                relation_names[relations[query]],
                kg.entities[arrays["answers"][query]],
                kg.entities[near],
                *(None if np.isnan(value) else float(f"{value:.6g}") for value in values),
                SPLITS[split] if split >= 0 else None,
            )

    every = np.arange(len(queries))
    if len(arrays["heads_e"]):
        place = np.full(kg.num_entities, -1)
        place[arrays["heads_e"]] = np.arange(len(arrays["heads_e"]))
        of_e = np.flatnonzero(place[heads] >= 0)
        condition = place[heads[of_e]]
        nearest, cosine = nearest_entities(arrays["fakes_e"], entities)
        length = np.linalg.norm(arrays["fakes_e"], axis=1)
        said = (arrays["score_e"][of_e], arrays["d_fakes_e"][condition], arrays["aux_fakes_e"][condition])
        yield from rows("G_E", of_e, nearest[condition], cosine[condition], length[condition], *said)
        nearest, cosine = nearest_entities(arrays["fakes_r"], entities)
        said = (arrays["score_r"], arrays["d_fakes_r"], arrays["aux_fakes_r"])
        yield from rows("G_R", every, nearest, cosine, np.linalg.norm(arrays["fakes_r"], axis=1), *said)
    ones, nothing = np.ones(len(every), np.float32), np.full(len(every), np.nan, np.float32)
    said = (arrays["score_random"], arrays["d_entities"][drawn], nothing)
    yield from rows("random", every, drawn, ones, lengths[drawn], *said)


def negatives_csv(kept: Kept) -> bytes:
    """`negatives` as CSV."""
    return csv_bytes(NEGATIVE_COLUMNS, negatives(kept))


def nearest_entities(points: Floats, entities: Floats, cells: int = 1 << 24) -> tuple[Ids, Floats]:
    """The nearest entity of each point by cosine, and that cosine; (n, dim) and (N, dim) → (n,) and (n,).

    Of entities alike in cosine it is the first. At most `cells` cosines are in memory at once.
    """
    directions = entities / np.maximum(np.linalg.norm(entities, axis=1, keepdims=True), 1e-12)
    nearest, cosine = np.zeros(len(points), np.int64), np.zeros(len(points), np.float32)
    size = max(1, cells // len(entities))
    for start in range(0, len(points), size):
        block = points[start : start + size]
        cosines = block / np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 1e-12) @ directions.T
        nearest[start : start + size] = cosines.argmax(axis=1)
        cosine[start : start + size] = cosines.max(axis=1)
    return nearest, cosine


def embeddings_npz(kept: Kept) -> bytes:
    """entities (N, dim), relations (2R, dim) where the snapshot has them, and the names of both; no pickles."""
    kg = kept.kg
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        allow_pickle=False,
        epoch=np.asarray(kept.epoch),
        entity_names=np.asarray(kg.entities),
        relation_names=np.asarray([kg.relation_name(number) for number in range(2 * kg.num_relations)]),
        **{name: kept.arrays[name] for name in ("entities", "relations") if name in kept.arrays},
    )
    return stream.getvalue()


def vectors_tsv(kept: Kept) -> bytes:
    """The entity embeddings for the Embedding Projector: a line each, tabs between numbers, no heading."""
    entities = kept.arrays["entities"]
    # Five digits tell any two numbers in half precision apart.
    line = "\t".join(["%.5g"] * entities.shape[1]) + "\n"
    return "".join(line % tuple(row) for row in entities.tolist()).encode()


def metadata_tsv(kg: KnowledgeGraph) -> bytes:
    """The names that go with `vectors_tsv`, and how many training triplets each entity is in; with a heading."""
    train = kg.array("train")
    both = np.where(train[:, 0] != train[:, 2], train[:, 2], -1)
    counts = np.bincount(np.concatenate([train[:, 0], both[both >= 0]]), minlength=kg.num_entities)
    lines = [f"{name}\t{count}\n" for name, count in zip(kg.entities, counts, strict=True)]
    return "".join(["name\ttraining triplets\n", *lines]).encode()


def projector_zip(kept: Kept) -> bytes:
    """vectors.tsv and metadata.tsv, for projector.tensorflow.org."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vectors.tsv", vectors_tsv(kept))
        archive.writestr("metadata.tsv", metadata_tsv(kept.kg))
    return stream.getvalue()


def _checked(epoch: int, arrays: Arrays, kg: KnowledgeGraph) -> dict[str, Any]:
    for name in ("entities", "queries", "answers", "random"):
        if name not in arrays:
            raise InputError(f"the snapshot of epoch {epoch} has no {name}: an earlier version kept it")
    n, q = kg.num_entities, arrays["queries"].shape[0] if arrays["queries"].ndim else 0
    c = len(np.atleast_1d(arrays.get("heads_e", np.zeros(0))))
    fakes, dim = q if c else 0, arrays["entities"].shape[-1:]
    ids = {"queries": (q, 2), "answers": (q,), "random": (q,), "heads_e": (c,)}
    floats: dict[str, tuple[int, ...]] = {
        "entities": (n, *dim),
        "score_true": (q,),
        "score_random": (q,),
        "fakes_e": (c, *dim),
        "fakes_r": (fakes, *dim),
        "score_e": (fakes,),
        "score_r": (fakes,),
        "d_entities": (n,),
        "d_fakes_e": (c,),
        "d_fakes_r": (fakes,),
        "aux_fakes_e": (c,),
        "aux_fakes_r": (fakes,),
    }
    if "relations" in arrays:
        floats["relations"] = (2 * kg.num_relations, *arrays["relations"].shape[1:])
    ready: dict[str, Any] = {}
    for name, shape in (ids | floats).items():
        array = arrays.get(name, np.zeros(shape, np.int64) if name in ids else np.full(shape, np.nan))
        if array.shape != shape or array.dtype.kind not in ("iu" if name in ids else "f"):
            raise InputError(f"the snapshot of epoch {epoch} does not fit the data set: its {name} differ")
        ready[name] = array.astype(np.int64 if name in ids else np.float32)
    limits = {"queries": np.array([n, 2 * kg.num_relations]), "answers": n, "random": n, "heads_e": n}
    for name, limit in limits.items():
        if (ready[name] < 0).any() or (ready[name] >= limit).any():
            raise InputError(f"the snapshot of epoch {epoch} names {name} that the data set does not have")
    return ready
