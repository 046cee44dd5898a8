"""What a game of pathways and D costs beside the base model; *measured* as `costs` is, and by the same formulas."""

from __future__ import annotations

from dans_core.config import Config
from dans_core.declaration import Cost, Declaration, Work

MOST_READ = 1024
"""That of `dans_core.proposals`, which cannot be asked without torch."""


def cost_of(sampler: Declaration) -> Cost:
    """What a sampler adds to a run: what it declares, or the game where it makes fakes and declares nothing."""
    return GAME if sampler.fakes is not None and sampler.cost == Cost() else sampler.cost


def _draws(config: Config, work: Work) -> float:
    """Draws from proposals in a step."""
    return work.pairs * config.negatives if config.reading == "entities" else 0.0


def _game_seconds(config: Config, work: Work) -> float:
    """The updates of both pathways and of D, over the steps that share them; the fakes, and what they propose."""
    width = max(0.5, config.dim / 100)
    conditions = {"G_E": work.heads, "G_R": work.asked}
    played = [conditions[name] for name in config.fakes]
    local = 1.0 if config.film == "trained" else 0.6
    pathways = sum(0.003 + 7e-6 * width * local * each for each in played)
    judge = 0.0025 + 3e-6 * width * sum(played)
    fakes = 1e-6 * width * sum(conditions[name] * share for name, share in config.fakes.items())
    if config.reading == "vectors":
        scored = sum(config.fakes.values()) * work.asked
        scoring = scored * config.dim * (7e-9 if config.decoder == "rotate" else 0.5e-9)
        return (config.k_g * pathways + config.k_d * judge) / config.play_every + fakes + scoring
    cells = work.asked * min(work.entities, MOST_READ)
    if config.ce_weight > 0:
        pathways += len(played) * cells * width * (50e-9 if config.decoder == "rotate" else 8e-9)
    # Where a step is a part of the graph, the next one asks other queries, and all is proposed anew.
    kept_for = config.play_every if work.pairs >= 2 * work.train else 1
    proposing = fakes + 6e-9 * cells
    return (config.k_g * pathways + config.k_d * judge) / config.play_every + proposing / kept_for


_CODE = 20e6
"""Bytes that torch sets up when it first trains pathways and D."""


def _game_bytes(config: Config, work: Work) -> float:
    """What is held of conditions, fakes, and their scores or proposals within a step."""
    made, per_side = sum(config.fakes.values()), max(config.fakes.values())
    conditions = work.heads + work.asked
    local = 4 * config.dim * conditions * (config.film != "none")
    sides = config.dim * per_side * conditions
    judged = 3 * config.dim * work.pairs if config.conditional_d else 0
    if config.reading == "entities":
        # Of a table of proposals four copies, and their sums in double precision.
        of_negatives = 6 * work.asked * min(work.entities, MOST_READ)
    else:
        vectors = config.dim * work.asked * made
        of_negatives = vectors + (3.5 * vectors if config.decoder == "rotate" else 0)
    return _CODE + 4 * (of_negatives + local + sides + judged)


def _bytes_of_a_pass(config: Config, work: Work) -> float:
    """What the way back through a pathway needs, as many conditions at once as `condition_chunk` says."""
    return 32 * config.dim * max(config.fakes.values()) * min(config.condition_chunk, work.asked)


def _kept_numbers(config: Config, work: Work) -> float:
    """Proposals that are kept from step to step, in numbers of four bytes."""
    kept = config.reading == "entities" and config.play_every > 1 and work.pairs >= 2 * work.train
    read = min(work.entities, MOST_READ)
    return work.asked * (read + 4) + 4 * read if kept else 0.0


GAME = Cost(
    draw=(5e-9, 5e-9),
    draws=_draws,
    step=_game_seconds,
    step_bytes=_game_bytes,
    before_bytes=_bytes_of_a_pass,
    saved=_kept_numbers,
    # A pathway: two layers and an output of d × d, and per layer two small networks of d × 100 × d.
    weights=lambda config, work: 2 * (3 * config.dim**2 + 2 * 2 * 200 * config.dim) + 50 * config.dim,
)
"""Of both pathways and D with their updates, of fakes and what they propose."""
