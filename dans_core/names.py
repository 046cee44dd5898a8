"""How the choices and figures of a run are called where people read them; nothing here needs torch."""

from __future__ import annotations

from dans_data.catalogue import DATASETS as DATASETS

DECODERS = {"distmult": "DistMult", "complex": "ComplEx", "rotate": "RotatE"}

SAMPLERS = {
    "dans": "DANS",
    "uniform": "Uniform",
    "popularity": "Popularity",
    "bernoulli": "Bernoulli",
    "self-adversarial": "Self-adversarial",
    "nscaching": "NSCaching",
    "kbgan": "KBGAN",
    "mcns": "MCNS",
    "sans": "SANS",
    "cake-style": "CAKE-style",
    "smile-style": "SMiLE-style",
    "one-vs-all": "One-vs-all",
}

SAMPLERS_ABOUT = {
    "dans": "A GAN makes negatives by two pathways, one from the head and one from head and relation; half are random.",
    "uniform": "Entities drawn at random, each as likely as any other.",
    "popularity": "Entities drawn at random, the more facts of train they are in the more often.",
    "bernoulli": "Random entities; each query counts by how many answers its relation has on either side.",
    "self-adversarial": "Random entities; those that the model scores highest count most.",
    "nscaching": "A cache for each query keeps entities that score high, and negatives are drawn from it.",
    "kbgan": "A second, small embedding model learns to choose hard negatives among random ones.",
    "mcns": "A random walk over entities for each query, which prefers those that the model scores high.",
    "sans": "Entities a few steps away from the kept entity in the graph.",
    "cake-style": "Entities that play the same roles as the answer, or else fit the relation, after CAKE; roles "
    "stand in for concepts.",
    "smile-style": "Half of the negatives play the same roles as the answer and half do not, after SMiLE.",
    "one-vs-all": "No sampling: every other entity is a negative. Slow on large graphs.",
}
"""Each sampler in one sentence."""


METRICS = {"mrr": "MRR", "hits_at_1": "H@1", "hits_at_3": "H@3", "hits_at_10": "H@10", "ndcg_at_5": "NDCG@5"}
"""The metrics of a ranking, in the order of every table."""

UNSEEN = "Nothing is learned of an entity that train never shows, so no model can rank it"
"""Why a ranking is told once more over the seen triplets alone."""


def unseen_of(unseen: int, every: int, split: str) -> str:
    """How many triplets of a split have such an entity: "1,036 of 5,000 test triplets have one"."""
    return f"{unseen:,} of {every:,} {split} triplets {'has' if unseen == 1 else 'have'} one"
