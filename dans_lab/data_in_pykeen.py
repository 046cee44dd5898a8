"""Data sets of this program for PyKEEN, under names that it knows once the program is installed.

PyKEEN's own WN18RR leaves out the triplets of valid and test whose entities its train never shows; these have them all,
so scores compare with those of the papers. Entities and relations are numbered by their sorted names, as in a run.
PyKEEN loads this by itself where the program is installed, in the middle of its own imports: of PyKEEN only its
data sets and triplets can be imported here.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pykeen.datasets.base import EagerDataset
from pykeen.triples import TriplesFactory

from dans_data.graph import Graph


class _OfCatalogue(EagerDataset):
    """One that `Graph.load` knows: found in DANS_DATA_DIR or the cache, else downloaded and checked.

    Raises InputError where it cannot be had.
    """

    source: ClassVar[str]

    def __init__(self, create_inverse_triples: bool = False, **_: Any) -> None:
        graph = Graph.load(self.source)
        entities, relations = (
            {name: i for i, name in enumerate(names)} for names in (graph.entities, graph.relations)
        )
        training, validation, testing = (
            TriplesFactory(
                mapped_triples=torch.from_numpy(graph.array(split).copy()),
                entity_to_id=entities,
                relation_to_id=relations,
                create_inverse_triples=create_inverse_triples and split == "train",
                metadata={"name": self.source, "split": split},
            )
            for split in ("train", "valid", "test")
        )
        super().__init__(training, testing, validation, metadata={"name": self.source})


class DansWN18RR(_OfCatalogue):
    """WN18RR with all triplets of valid and test: `dataset="dans-wn18rr"`.

    ---
    name: WN18RR, unseen entities kept
    statistics:
        entities: 40943
        relations: 11
        training: 86835
        testing: 3134
        validation: 3034
        triples: 93003
    """

    source = "wn18rr"


class NELL995(_OfCatalogue):
    """NELL-995 in the split of the DANS paper: `dataset="nell-995"`.

    ---
    name: NELL-995
    statistics:
        entities: 63917
        relations: 198
        training: 137465
        testing: 5000
        validation: 5000
        triples: 147465
    """

    source = "nell-995"
