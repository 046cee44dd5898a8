"""What a run gives to other programs: model, settings, metrics, negatives, embeddings, and the line that repeats it.

Plain numpy on the files of a run, without torch but for the model. The terminal's `export` and the app's downloads both
come from here.
"""

from __future__ import annotations

import io
import os
import shlex
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dans_core.config import Config
from dans_core.events import Event, Ranking, Snapshot, to_dict
from dans_core.kg import KnowledgeGraph
from dans_data import SPLITS
from dans_data.errors import InputError
from dans_lab.budget.recipe import RECIPE_SETTINGS, config_for
from dans_lab.budget.sizes import sizes_of
from dans_lab.export.points import PROJECTOR_CONFIG, in_training, points_parquet
from dans_lab.export.spreadsheet import csv_bytes, spreadsheet_text
from dans_lab.health import HealthWarning
from dans_lab.runs.frames import Floats, Frame, Ids, known_splits
from dans_lab.runs.records import Stored, replace, to_json
from dans_lab.runs.run import Run, Which

if TYPE_CHECKING:
    from dans_lab.export.model_card import Others

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

_ABOUT = """# Run {run} of DANS Lab

Data set: {dataset}, sha256 {hash}. Decoder {decoder}, sampler {sampler}, {epochs:,} epochs, seed {seed}; the run is
{state} at epoch {epoch:,} and has kept no weights, so there is no model. Made with {versions}.

To repeat it, in the folder of the program:

```
{command}
```

The same data, seed, settings and versions give the same numbers. config.json has the settings, the data set and its
hash, the versions and the seed.
"""

_ABOUT_RUN = """
## What the run left

```
metrics.csv     everything measured as it trained: epoch, name, value
{snapshot}```

In the CSV files and metadata.tsv, text that a spreadsheet would run as a formula has a ' in front. An entity may be
called NA: read them by pandas with `keep_default_na=False`, or its name becomes a missing value.
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
    D_aux           probability of being made by G_R, by the discriminator; empty without D_aux
    known fact      the split that holds (head, relation, nearest entity), which makes it a false negative
embeddings.npz  of the same epoch, in half precision: {embeddings}{sample}
vectors.tsv     the entity embeddings, one a line, for projector.tensorflow.org (Load, step 1)
metadata.tsv    their names and how many training triplets each is in (Load, step 2)
projector_config.pbtxt
                lets TensorBoard open both: tensorboard --logdir .
                then http://localhost:6006/#projector
points.parquet  entities and fakes of this epoch, a row each, for Embedding Atlas:
                embedding-atlas points.parquet --text name --x x --y y
    kind            entity, fake of G_E or fake of G_R
    name            of the entity, or of what the fake was made for
    head, relation  the condition of a fake; G_E knows no relation
    x, y            in a PCA of all of them; vector has all dimensions
    nearest_entity, cosine, score, d_adv, d_aux, training_triplets
                    as above; empty where a point has none
"""

_ABOUT_SAMPLE = """
                a sample by relation, {kept:,} of {all:,} entities, since the graph is large"""

_NO_SNAPSHOT = "The run has kept no snapshot, so there are no negatives and no embeddings of it.\n"


@dataclass(frozen=True)
class Exported:
    """What `export` writes or wrote.

    Attributes:
        files: how to make each file, by its path within the folder.
        weights: which weights the model has, and the epoch they are of; None of a run that has none.
        epoch: of the snapshot; None without one.
    """

    files: dict[str, Callable[[], bytes]]
    weights: tuple[Which, int] | None
    epoch: int | None


def export(run: Run, which: Which | None = None, others: Others = lambda run, kg: ()) -> Exported:
    """All of a run that other programs can use.

    The model is that of the weights named by `which`, by default those that `evaluate` ranks with; it is ranked on test
    for its card. A run without weights gives none, and one without a snapshot no negatives and no embeddings. `others`
    finds what the same settings reached with other seeds.

    Raises:
        InputError: no such weights, a data set that is gone, damaged files.
    """
    kept = newest_snapshot(run)
    files: dict[str, Callable[[], bytes]] = {
        "config.json": lambda: config_json(run),
        "metrics.csv": lambda: metrics_csv(run),
    }
    weights, intro = None, _about(run)
    if which or any((run.path / f"{each}.pt").is_file() for each in ("best", "last")):
        # It brings torch, which nothing else here needs.
        from dans_lab.export.model_folder import model_of

        kg = kept.kg if kept else run.load_kg()
        weights, intro, model = model_of(run, kg, which, others, command(run))
        files |= model
    if kept is not None:
        files |= {
            "negatives.csv": lambda: negatives_csv(kept),
            "embeddings.npz": lambda: embeddings_npz(kept),
            "vectors.tsv": lambda: vectors_tsv(kept),
            "metadata.tsv": lambda: metadata_tsv(kept),
            "projector_config.pbtxt": lambda: PROJECTOR_CONFIG,
            "points.parquet": lambda: points_parquet(kept.frame, kept.kg),
        }
    files["README.md"] = lambda: (intro + _about_run(kept)).encode()
    return Exported(files, weights, kept.epoch if kept else None)


def write(exported: Exported, folder: Path) -> dict[str, int]:
    """Write it into a new or empty folder, or into a new file that ends with .zip; the size in bytes of each file.

    Raises:
        InputError: a folder that holds something or cannot be written, a file that is there already.
    """
    if folder.suffix.lower() == ".zip":
        return _write_zip(exported, folder)
    found = _check_empty(folder)
    sizes: dict[str, int] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in exported.files.items():
            data = content()
            sizes[name] = len(data)
            (folder / name).parent.mkdir(exist_ok=True)
            replace(folder / name, data)
    except BaseException as error:
        for name in sizes:
            (folder / name).unlink(missing_ok=True)
        for inner in {Path(name).parent for name in sizes} - {Path()}:
            (folder / inner).rmdir()
        if not found and folder.is_dir():
            folder.rmdir()
        if isinstance(error, OSError):
            raise InputError(f"{folder} cannot be written ({error.strerror})") from None
        raise
    return sizes


def zipped(exported: Exported, top: str) -> tuple[bytes, dict[str, int]]:
    """The same in a zip archive, in a folder `top`; and the size in bytes of each file."""
    stream, sizes = io.BytesIO(), {}
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in exported.files.items():
            data = content()
            sizes[name] = len(data)
            archive.writestr(f"{top}/{name}", data)
    return stream.getvalue(), sizes


def _write_zip(exported: Exported, file: Path) -> dict[str, int]:
    if os.path.lexists(file):
        raise InputError(f"{file} is there already; expected a new file")
    data, sizes = zipped(exported, file.stem)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace(file, data)
    except OSError as error:
        raise InputError(f"{file} cannot be written ({error.strerror})") from None
    return sizes


def check_place(folder: Path) -> None:
    """Raises InputError where `write` could not write: before anything is ranked, which takes long."""
    if folder.suffix.lower() != ".zip":
        _check_empty(folder)
    elif os.path.lexists(folder):
        raise InputError(f"{folder} is there already; expected a new file")


def _check_empty(folder: Path) -> bool:
    """Whether the folder is there, and empty; InputError for one that is not."""
    try:
        found = folder.exists()
        occupied = found and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror})") from None
    if occupied:
        what = "is not empty" if folder.is_dir() else "is a file"
        raise InputError(
            f"{folder} {what}; expected a new or an empty folder, or a new file that ends with .zip"
        )
    return found


# --- settings and metrics --------------------------------------------------------------------------------------


def command(run: Run) -> str:
    """The line that repeats the run in a terminal."""
    return command_of(run.config, run.meta.source, run.meta.split_seed)


def command_of(config: Config, source: str, split_seed: int = 0) -> str:
    """The line that trains with these settings on the data set that `source` names, split by `split_seed`.

    It names all that `train` would choose otherwise for a graph of this size; where the data set cannot be read, also
    what a graph of any other size would change.
    """
    given = ["decoder", "sampler", "epochs", "seed"]
    named = {name: getattr(config, name) for name in given}
    sizes = sizes_of(source)
    usual = Config(**named) if sizes is None else config_for(sizes.train, named)
    unsure = RECIPE_SETTINGS if sizes is None else frozenset()
    words = ["python", "-m", "dans_core", "train", "--dataset", source]
    words += ["--split-seed", str(split_seed)] if split_seed else []
    for name in given:
        words += [f"--{name}", str(getattr(config, name))]
    for name in (name for name in Config.model_fields if name not in named):
        value = getattr(config, name)
        if value != getattr(usual, name) or name in unsure:
            words += ["--set", f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
    return shlex.join(words)


def config_json(run: Run) -> bytes:
    """Settings, data set and hash, versions and seed, as in the run directory; not who started it."""
    return to_json(Stored(**run.meta.model_dump(exclude={"owner"}), config=run.config.model_dump()))


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


def _about(run: Run) -> str:
    """What a run without weights is, in words, with the line that repeats it."""
    status = run.status
    return _ABOUT.format(
        run=run.id,
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


def _about_run(kept: Kept | None) -> str:
    """What an exported folder holds beside the model, in words."""
    if kept is None:
        return _ABOUT_RUN.format(snapshot="") + "\n" + _NO_SNAPSHOT
    frame = kept.frame
    held = [
        f"entities ({'S' if frame.is_sample else 'N'}, dim)",
        "entity_names",
        "relation_names, reciprocals last",
    ]
    if len(frame.relations):
        held.insert(1, "relations (2R, dim)")
    sample = (
        _ABOUT_SAMPLE.format(kept=len(frame.entity_ids), all=frame.num_entities) if frame.is_sample else ""
    )
    words = _ABOUT_SNAPSHOT.format(epoch=kept.epoch, embeddings=", ".join(held), sample=sample)
    return _ABOUT_RUN.format(snapshot=words)


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
    """A snapshot and its graph."""

    frame: Frame
    kg: KnowledgeGraph

    @property
    def epoch(self) -> int:
        """How many epochs were done."""
        return self.frame.epoch


def newest_snapshot(run: Run) -> Kept | None:
    """The last snapshot of a run, or None. Raises InputError where it, or the data set, is damaged or gone."""
    found = run.snapshots()
    if not found:
        return None
    kg, epoch = run.load_kg(), found[-1][0]
    try:
        return Kept(Frame.of(run.load_snapshot(epoch), kg.num_entities, kg.num_relations), kg)
    except InputError as error:
        raise InputError(f"run {run.id}, epoch {epoch}: {error}") from None


def negatives(kept: Kept) -> Iterator[Row]:
    """Rows of `NEGATIVE_COLUMNS`: for each kept query the fake of G_E, then that of G_R, then the random entity.

    What is not known, such as D's opinion without a GAN, is None.
    """
    kg, frame = kept.kg, kept.frame
    heads, relations = frame.queries.T
    lengths = np.linalg.norm(frame.entities, axis=1)
    relation_names = [kg.relation_name(number) for number in range(2 * kg.num_relations)]

    def rows(source: str, nearest: Ids, cosine: Floats, length: Floats, *opinions: Floats) -> Iterator[Row]:
        """One a query."""
        splits = known_splits(kg, heads, relations, nearest)
        score, d_adv, d_aux = opinions
        numbers = zip(
            cosine, length / frame.median_length, score, frame.score_true, d_adv, d_aux, strict=True
        )
        for query, (near, values, split) in enumerate(zip(nearest, numbers, splits, strict=True)):
            yield (
                frame.epoch,
                source,
                kg.entities[heads[query]],
                relation_names[relations[query]],
                kg.entities[frame.answers[query]],
                kg.entities[near],
                *(None if np.isnan(value) else float(f"{value:.6g}") for value in values),
                SPLITS[split] if split >= 0 else None,
            )

    if "G_E" in frame.pathways:
        at = np.searchsorted(frame.heads_e, heads)
        nearest, cosine = frame.nearest("G_E", np.arange(len(frame.fakes_e)))
        length = np.linalg.norm(frame.fakes_e, axis=1)
        said = (frame.score_e, frame.d_fakes_e[at], frame.aux_fakes_e[at])
        yield from rows("G_E", nearest[at], cosine[at], length[at], *said)
    if "G_R" in frame.pathways:
        nearest, cosine = frame.nearest("G_R", np.arange(len(frame.fakes_r)))
        said = (frame.score_r, frame.d_fakes_r, frame.aux_fakes_r)
        yield from rows("G_R", nearest, cosine, np.linalg.norm(frame.fakes_r, axis=1), *said)
    drawn, ones = frame.rows_of(frame.random), np.ones(len(heads), np.float32)
    said = (frame.score_random, frame.d_entities[drawn], np.full(len(heads), np.nan, np.float32))
    yield from rows("random", frame.random, ones, lengths[drawn], *said)


def negatives_csv(kept: Kept) -> bytes:
    """`negatives` as CSV."""
    return csv_bytes(NEGATIVE_COLUMNS, negatives(kept))


def embeddings_npz(kept: Kept) -> bytes:
    """Kept entities (S, dim), relations (2R, dim) where the snapshot has them, and the names of both; no pickles."""
    kg = kept.kg
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        allow_pickle=False,
        epoch=np.asarray(kept.epoch),
        entity_names=np.asarray([kg.entities[number] for number in kept.frame.entity_ids]),
        relation_names=np.asarray([kg.relation_name(number) for number in range(2 * kg.num_relations)]),
        entities=kept.frame.entities,
        **({"relations": kept.frame.relations} if len(kept.frame.relations) else {}),
    )
    return stream.getvalue()


def vectors_tsv(kept: Kept) -> bytes:
    """The entity embeddings for the Embedding Projector: a line each, tabs between numbers, no heading."""
    entities = kept.frame.entities
    # Five digits tell any two numbers in half precision apart.
    line = "\t".join(["%.5g"] * entities.shape[1]) + "\n"
    return "".join(line % tuple(row) for row in entities.tolist()).encode()


def metadata_tsv(kept: Kept) -> bytes:
    """The names that go with `vectors_tsv`, and how many training triplets each entity is in; with a heading."""
    kg, ids = kept.kg, kept.frame.entity_ids
    counts = in_training(kg)
    lines = [f"{spreadsheet_text(kg.entities[number])}\t{counts[number]}\n" for number in ids]
    return "".join(["name\ttraining triplets\n", *lines]).encode()


def embeddings_zip(kept: Kept) -> bytes:
    """What projector.tensorflow.org, TensorBoard and Embedding Atlas open."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vectors.tsv", vectors_tsv(kept))
        archive.writestr("metadata.tsv", metadata_tsv(kept))
        archive.writestr("projector_config.pbtxt", PROJECTOR_CONFIG)
        archive.writestr("points.parquet", points_parquet(kept.frame, kept.kg))
    return stream.getvalue()
