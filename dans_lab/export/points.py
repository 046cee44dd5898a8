"""The points of a snapshot as one table that Embedding Atlas opens, and what TensorBoard's projector reads of them."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt

from dans_core.kg import KnowledgeGraph
from dans_lab.map.projection import Axes, Moments
from dans_lab.runs.frames import Frame, Ids

PROJECTOR_CONFIG = b"""embeddings {
  tensor_name: "entities"
  tensor_path: "vectors.tsv"
  metadata_path: "metadata.tsv"
}
"""
"""Beside vectors.tsv and metadata.tsv it lets `tensorboard --logdir FOLDER` open them in its projector."""


def in_training(kg: KnowledgeGraph) -> Ids:
    """How many training triplets each entity is in, (N,)."""
    train = kg.array("train")
    tails = train[train[:, 0] != train[:, 2], 2]
    counts: Ids = np.bincount(np.concatenate([train[:, 0], tails]), minlength=kg.num_entities)
    return counts


def points_parquet(frame: Frame, kg: KnowledgeGraph) -> bytes:
    """A row for each kept entity, then for each fake of G_E, then of G_R, with its vector and its place in a PCA.

    The place is by the two directions of largest variance of this snapshot, where entities and the fakes of each
    pathway count the same. What a point does not have is null.
    """
    # It takes half a second to import, and nothing else of an export needs it.
    import pyarrow as pa
    from pyarrow import parquet

    def numbers(*parts: npt.ArrayLike) -> pa.Array:
        """One column of these; NaN is null."""
        return pa.array(np.concatenate([np.asarray(part, np.float32) for part in parts]), from_pandas=True)

    own = [kg.entities[number] for number in frame.entity_ids]
    conditions = [(kg.entities[head], None) for head in frame.heads_e] if len(frame.fakes_e) else []
    queries = (
        [(kg.entities[h], kg.relation_name(int(r))) for h, r in frame.queries] if len(frame.fakes_r) else []
    )
    asked = [*conditions, *queries]
    near = [frame.nearest("G_E", np.arange(len(conditions))), frame.nearest("G_R", np.arange(len(queries)))]
    counts = in_training(kg)[frame.entity_ids].tolist()
    no_score = np.full(len(own) + len(conditions), np.nan)
    columns = {
        "kind": ["entity"] * len(own) + ["fake of G_E"] * len(conditions) + ["fake of G_R"] * len(queries),
        "name": [
            *own,
            *(f"fake for {head}" if r is None else f"fake for ({head}, {r})" for head, r in asked),
        ],
        "head": [None] * len(own) + [head for head, _ in asked],
        "relation": [None] * len(own) + [relation for _, relation in asked],
        "nearest_entity": [None] * len(own) + [kg.entities[i] for ids, _ in near for i in ids],
        "cosine": numbers(np.full(len(own), np.nan), *(cosine for _, cosine in near)),
        "score": numbers(no_score, frame.score_r if queries else []),
        "d_adv": numbers(frame.d_entities, frame.d_fakes_e, frame.d_fakes_r),
        "d_aux": numbers(frame.aux_entities, frame.aux_fakes_e, frame.aux_fakes_r),
        "training_triplets": pa.array(counts + [None] * len(asked), pa.int64()),
    }
    vectors = np.concatenate(frame.groups)
    places = Axes.of([Moments.of(frame.groups)]).place(vectors)
    columns |= {"x": places[:, 0], "y": places[:, 1], "vector": list(vectors)}
    stream = io.BytesIO()
    parquet.write_table(pa.table(columns), stream, compression="zstd")
    return stream.getvalue()
