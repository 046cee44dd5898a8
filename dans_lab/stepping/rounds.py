"""Which runs can be stepped through, and how many rounds of the game they have; without torch, since screens ask."""

from __future__ import annotations

from dans_core.config import Config
from dans_data.errors import InputError
from dans_data.graph import Graph

MOST_ENTITIES = 1024
"""Entities of a graph of which every proposal is over all, as in `proposals.MOST_READ`."""

MOST_QUERIES = 20_000
"""Distinct queries of a graph whose rounds can be kept and measured while somebody waits."""


def total_rounds(config: Config) -> int:
    """Rounds of the game from the end of the warm-up to the last epoch, where a step is an epoch."""
    return -(-(config.epochs - config.warmup_epochs) // config.play_every)


def check(kg: Graph, config: Config) -> None:
    """InputError, in a sentence, for runs whose rounds cannot be stepped through."""
    train = len(kg.array("train"))
    if not config.fakes:
        raise InputError("its sampler has no generator and no discriminator; choose a run with DANS")
    if config.k_g == 0 and config.k_d == 0:
        raise InputError("with k_g = 0 and k_d = 0 no round of the game is ever played")
    if config.conditional_d:
        raise InputError(
            "its D sees the query (conditional_d), and only a D that sees vectors alone can be stepped"
        )
    if not config.score_message_edges:
        raise InputError("with score_message_edges off, a triplet is not in every step")
    if config.batch_size < train:
        raise InputError(
            f"its batches of {config.batch_size:,} triplets are parts of the graph; a step must take all "
            f"{train:,}"
        )
    if kg.num_entities > MOST_ENTITIES or 2 * train > MOST_QUERIES:
        raise InputError(
            f"its graph is too large to be stepped while you wait: {kg.num_entities:,} entities and "
            f"{train:,} training triplets, where at most {MOST_ENTITIES:,} and {MOST_QUERIES // 2:,} can be"
        )
