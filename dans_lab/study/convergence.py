"""Whether training came to rest: figures of one run's events, to be compared over seeds (nothing here needs torch)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from dans_core.events import Diagnostics, Event, Losses, PathwayHealth, Ranking, SampledHealth
from dans_lab.event_words import LOSSES
from dans_lab.health import COLLAPSED_COSINE, collapsed_nearest

FIGURES: dict[str, tuple[str, str]] = {
    "oscillation": (
        "Oscillation",
        "How far the valid MRR swings about its own moving mean in the second half of training (standard deviation).",
    ),
    "game_oscillation": (
        "Oscillation of the game",
        "How far L_G, the mean of its pathways, swings about its own moving mean in the second half of training "
        "(standard deviation).",
    ),
    "fall": ("Fall after the best", "Best valid MRR less the last one: what going on for too long costs."),
    "epochs_to_level": (
        "Epochs to level",
        "The first epoch whose valid MRR is within 1 % of the run's best.",
    ),
    "collapse": (
        "Collapse",
        "Share of the checks after the warm-up in which a pathway had collapsed: its fakes for different conditions "
        f"point one way (mean cosine above {COLLAPSED_COSINE:g}), or a twentieth of the entities or fewer are nearest "
        "to all of them.",
    ),
    "balance": (
        "D's lead",
        "Mean probability that D_adv gives to real entities less that to fakes, over the last quarter of training: 0 "
        "is a coin toss, 1 a D that is never fooled.",
    ),
    "hardness": (
        "Hardness",
        "Share of a sampler's own negatives that outscore a random negative of the same query, in the last check; of "
        "DANS the fakes, mean of the pathways, where these are negatives. Random ones would have about a half.",
    ),
    "false_negatives": (
        "False negatives",
        "Share of the same negatives that are known facts of any split; of a fake its nearest entity counts.",
    ),
}
"""Title and explanation of each figure of `convergence`."""

OF_NEGATIVES = ("hardness", "false_negatives")
"""Those figures that say what the negatives are like, whatever made them."""

_WINDOW = 11
"""Rankings, or epochs, of a moving mean."""

_POINTS = 100
"""The most points kept of a curve."""


def convergence(events: Sequence[Event]) -> dict[str, float]:
    """The `FIGURES` of a run that its events allow; without a GAN those of the game are missing."""
    found: dict[str, float] = {}
    rankings = [event for event in events if isinstance(event, Ranking)]
    if rankings:
        mrr = np.array([event.mrr for event in rankings])
        found["oscillation"] = swing(mrr)
        found["fall"] = float(mrr.max() - mrr[-1])
        found["epochs_to_level"] = float(rankings[int(np.argmax(mrr >= 0.99 * mrr.max()))].epoch)
    game = [event for event in events if isinstance(event, Losses) and not event.warm_up]
    if of_g := [loss for event in game if (loss := _mean(event.g_e, event.g_r)) is not None]:
        found["game_oscillation"] = swing(np.array(of_g))
    leads = [
        event.d_real - fake
        for event in game
        if event.d_real is not None and (fake := _mean(event.d_fake_e, event.d_fake_r)) is not None
    ]
    if leads:
        found["balance"] = float(np.mean(leads[-max(1, len(leads) // 4) :]))
    played = {event.epoch for event in game}
    checks = [event for event in events if isinstance(event, Diagnostics) and event.epoch in played]
    if checks:
        last = checks[-1]
        pathways = _pathways(last)
        if pathways:
            found["collapse"] = float(np.mean([_collapsed(check) for check in checks]))
        own: list[SampledHealth] = [last.sampled] if last.sampled else [*pathways]
        if own:
            found["hardness"] = float(np.mean([health.outscores_random for health in own]))
            found["false_negatives"] = float(np.mean([health.false_negatives for health in own]))
    return found


def swing(values: np.ndarray) -> float:
    """Standard deviation of the second half of (n,) values about their moving mean over 11; 0 below 4 values."""
    late = values[len(values) // 2 :]
    if len(late) < 2:
        return 0.0
    window = min(_WINDOW, len(late) - 1 + len(late) % 2)
    half = window // 2
    padded = np.pad(late, half, mode="reflect", reflect_type="odd") if half else late
    smooth = np.convolve(padded, np.full(2 * half + 1, 1 / (2 * half + 1)), mode="valid")
    return float(np.std(late - smooth)) if half else float(np.std(late))


def curves(events: Sequence[Event]) -> dict[str, list[float | None]]:
    """Valid MRR, losses and seconds of training over the epochs, at most 100 of them, the last one among them.

    Names are as in the events; the seconds are those of all epochs up to that one, without rankings and checks. Of an
    epoch without a round of the game its losses are those of the round before.
    """
    losses = {event.epoch: event for event in events if isinstance(event, Losses)}
    ranked = {event.epoch: event.mrr for event in events if isinstance(event, Ranking)}
    candidates = sorted(ranked or losses)
    if not candidates:
        return {}
    step = -(-len(candidates) // _POINTS)
    epochs = candidates[::-1][::step][::-1]
    found: dict[str, list[float | None]] = {"epoch": [float(epoch) for epoch in epochs]}
    if losses:
        sums = itertools.accumulate(event.seconds for event in losses.values())
        until = dict(zip(losses, sums, strict=True))
        found["seconds"] = [_short(until.get(epoch), 6) for epoch in epochs]
    found["valid_mrr"] = [_short(ranked.get(epoch)) for epoch in epochs]
    for name in LOSSES:
        latest: dict[int, float] = {}
        value = None
        for epoch, event in losses.items():
            value = getattr(event, name) if getattr(event, name) is not None else value
            if value is not None:
                latest[epoch] = value
        column = [_short(latest.get(epoch)) for epoch in epochs]
        if any(value is not None for value in column):
            found[name] = column
    return found


def _collapsed(check: Diagnostics) -> bool:
    return any(
        health.mean_cosine > COLLAPSED_COSINE
        or health.distinct_nearest <= collapsed_nearest(check.num_entities or 0, health.conditions)
        for health in _pathways(check)
    )


def _pathways(check: Diagnostics) -> list[PathwayHealth]:
    return [health for health in (check.g_e, check.g_r) if health is not None]


def _mean(*values: float | None) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _short(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else float(f"{value:.{digits}g}")
