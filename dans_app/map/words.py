"""What the map says in words: what the negatives of a relation are like, and what the picture was made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dans_app.map import data as map_data
from dans_app.server.loading import Picture
from dans_app.shared import theme
from dans_app.shared.words import markdown_text
from dans_core.kg import KnowledgeGraph
from dans_data.words import count, share
from dans_lab.map import plate as map_plate
from dans_lab.map.projection import Method
from dans_lab.map.relation_view import KeptNegatives, RelationView, asked_in_train
from dans_lab.names import FACTS_AMONG, about_fakes
from dans_lab.runs.frames import Frame
from dans_lab.runs.run import Run

ALIKE = 0.4
"""Below this cosine the nearest entity is nearest only because one has to be."""

FEW = 5
"""Up to so many true answers, a relation is said to have few."""

MISREAD_PLAIN = (
    "Entities and generated negatives of one relation. Who is beside whom means something; in UMAP and t-SNE, sizes of "
    "clouds, gaps and directions mean nothing."
)


def sentences(view: RelationView, frame: Frame, now: int, run: Run) -> list[str]:
    """What there is to know of the negatives at one snapshot (by its position), in Markdown."""
    lines = []
    if not len(view.heads):
        lines.append("This run kept no query of this relation in its snapshots, so no negatives are shown.")
    elif not frame.has_fakes and not run.config.fakes:
        lines.append(
            f"{run.config.declaration.no_fakes} Shown are entities and one random negative for each query."
        )
    elif frame.has_fakes and frame.epoch <= run.config.warmup_epochs:
        lines.append(
            f"Warm-up lasts to epoch {run.config.warmup_epochs:,}: the GAN has learned nothing yet, and these fakes "
            "are what it makes by chance."
        )
    if frame.has_fakes and (what := about_fakes(run.config)):
        lines.append(what)
    if len(view.heads):
        lines += [
            f"{theme.mark(theme.BY_SOURCE[source])} {summary(part, view, now)}"
            for source, part in view.negatives.items()
        ]
        if frame.has_fakes and run.config.proposes:
            lines.append(FACTS_AMONG)
    return lines


def notes(view: RelationView) -> list[str]:
    """Why this picture may be less than it seems."""
    found = []
    if len(view.answers) <= FEW:
        found.append(
            f"This relation has {count(len(view.answers), 'distinct ' + view.side)} in train: a picture of a "
            "handful, where almost any fake looks like the same few entities."
        )
    if 0 < len(view.heads) < view.asked:
        found.append(
            f"The run kept {len(view.heads):,} of the relation’s {view.asked:,} queries in its snapshots."
        )
    return found


def sample(frame: Frame, kg: KnowledgeGraph) -> str:
    """What part of a large graph its map shows; "" where it shows all of it."""
    if not frame.is_sample:
        return ""
    what = "fakes" if frame.has_fakes else "negatives"
    return (
        "The graph is large, so this is a sample by relation, the same in every snapshot: "
        f"{len(frame.entity_ids):,} of {frame.num_entities:,} entities, and {what} of {len(frame.queries):,} of "
        f"{asked_in_train(kg):,} queries."
    )


def found(numbers: Sequence[int], frame: Frame) -> str:
    """How many of the entities that were searched for a sample holds; "" where it holds all."""
    kept = len(map_data.kept(numbers, frame))
    if kept == len(numbers):
        return ""
    if len(numbers) == 1:
        return "The entity that you searched for is not in the sample; Triplet can show its negatives."
    return f"Of {len(numbers):,} entities that match your search, {kept:,} are in the sample and have a ring."


def origin(picture: Picture, method: Method, frame: Frame, warm: bool, live: bool) -> str:
    """What the picture was made of, and what is still to come.

    `warm` says that UMAP is ready to work, `live` that the run goes on meanwhile.
    """
    name = map_plate.NAMES[method]
    if picture.problem is not None:
        return f":material/error: Shown is PCA, since {name} failed: {markdown_text(picture.problem, 200)}"
    if picture.waiting and picture.single is None:
        long = "" if warm else " (about 20 seconds the first time, while UMAP warms up)"
        soon = "; a run that is quicker than that shows it at its end, or frozen" if live else ""
        return f":material/progress_activity: PCA for the moment; {name} is being computed{long}{soon}."
    if picture.waiting:
        return (
            f":material/progress_activity: {name} of epoch {frame.epoch:,} alone for the moment; all snapshots "
            f"together are being computed, {'about half a minute' if frame.is_sample else 'some seconds'} more. Other "
            "epochs show PCA until then."
        )
    if picture.single is not None:
        why = "t-SNE places each epoch by itself"
        why = why if method == "tsne" else "While a run trains, UMAP fits the epoch shown"
        return f":material/check: {why}; other epochs show PCA until they are chosen."
    what = "the sampled " if frame.is_sample else "all "
    what += "entities and fakes" if frame.has_fakes else "entities"
    placed = len(picture.series.rows)
    many = f" {placed:,} of {frame.size:,} points, this relation’s first." if placed < frame.size else ""
    return (
        f":material/check: {map_plate.NAMES[picture.series.method]} of {what} of "
        f"{count(len(picture.series.epochs), 'snapshot')} together: places can be compared between "
        f"relations and epochs.{many}"
    )


def summary(negatives: KeptNegatives, view: RelationView, at: int) -> str:
    """One sentence on the negatives of one source at a snapshot (by its position), in Markdown; holds no names."""
    nearest, known = negatives.nearest[at], int((negatives.known[at] >= 0).sum())
    size, side = len(nearest), view.side
    other = "tail" if side == "head" else "head"
    facts = f"**{share(known / size)}** would be known facts" if known else "none would be a known fact"
    if size == 1:
        facts = f"it {'would' if known else 'would not'} be a known fact"
    if negatives.source == "random":
        return f"Of {count(size, 'random ' + side)}, {facts}." if size > 1 else f"One random {side}: {facts}."
    made = f"{negatives.source} made {count(size, 'fake ' + side)} for {count(len(np.unique(view.heads)), other)}"
    cosine = float(np.median(negatives.cosine[at]))
    alike = "" if cosine >= ALIKE else ", though not close"
    if size == 1:
        return f"{made}; by its nearest entity{alike} (cosine {cosine:.2f}), {facts}."
    places = len(np.unique(nearest))
    place = "**one and the same entity**" if places == 1 else f"**{places:,} different entities**"
    return f"{made}; they fall nearest to {place}{alike} (cosine with the nearest typically {cosine:.2f}); {facts}."
