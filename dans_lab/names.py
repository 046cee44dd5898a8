"""How the choices and figures of a run are called where people read them; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dans_core.config import Config
from dans_core.declared import DECLARED
from dans_data.catalogue import DATASETS as DATASETS
from dans_data.words import count, listed, plural, share

DECODERS = {"distmult": "DistMult", "complex": "ComplEx", "rotate": "RotatE"}


class _Said(Mapping[str, str]):
    """The same word of every sampler's declaration, by the sampler's name."""

    def __init__(self, word: str) -> None:
        self._word = word

    def __getitem__(self, sampler: str) -> str:
        return str(getattr(DECLARED[sampler], self._word))

    def __iter__(self) -> Iterator[str]:
        return iter(DECLARED)

    def __len__(self) -> int:
        return len(DECLARED)


SAMPLERS = _Said("title")

SAMPLERS_ABOUT = _Said("about")
"""Each sampler in one sentence."""

PROPOSES = (
    "Its fakes are not negatives themselves: each proposes the entities near it, and the negatives are entities drawn "
    "from such proposals, with weights that make up for the draw."
)
"""What fakes are to a run that reads them as entities."""

FACTS_AMONG = (
    "That proposals hit known facts is no fault: the loss ranks the answer against all entities, the other true "
    "answers of the query too, and negatives only estimate that sum. An entity weighs what it weighs in the sum, "
    "however often it is proposed."
)
"""Why such a run may have facts among its negatives."""


def about_fakes(config: Config) -> str:
    """What fakes are to a run where they are not its negatives, in a sentence; else ""."""
    return PROPOSES if config.proposes else ""


def about_negatives(config: Config) -> str:
    """How many negatives a query has of what, in a sentence, in a run with a GAN; else ""."""
    if not config.fakes:
        return ""
    if config.reading == "entities":
        part = "half" if config.random_share == 0.5 else share(config.random_share)
        return (
            f"Every answer has {count(config.negatives, 'negative')}: entities, weighed, that "
            f"{' and '.join(config.fakes)} {plural(len(config.fakes), 'proposes', 'propose')}; {part} of each "
            "proposal is random."
        )
    rest = config.negatives - sum(config.fakes.values())
    parts = [count(made, f"fake of {name}", f"fakes of {name}") for name, made in config.fakes.items()]
    parts += [count(rest, "random entity", "random entities")] if rest else []
    return f"Every query has {count(config.negatives, 'negative')}: {listed(parts)}."


METRICS = {"mrr": "MRR", "hits_at_1": "H@1", "hits_at_3": "H@3", "hits_at_10": "H@10", "ndcg_at_5": "NDCG@5"}
"""The metrics of a ranking, in the order of every table."""

UNSEEN = "Nothing is learned of an entity that train never shows, so no model can rank it"
"""Why a ranking is told once more over the seen triplets alone."""


def unseen_of(unseen: int, every: int, split: str) -> str:
    """How many triplets of a split have such an entity: "1,036 of 5,000 test triplets have one"."""
    return f"{unseen:,} of {every:,} {split} triplets {plural(unseen, 'has', 'have')} one"
