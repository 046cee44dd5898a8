"""Warnings of a run in words: what is wrong, by the figures that were found, and what to try."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from dans_core.config import Config
from dans_core.events import Event
from dans_lab.health import COLLAPSED_COSINE, RANKINGS, TOO_WEAK, HealthWarning

_Figures = Mapping[str, float]
_Sentence = Callable[[_Figures, str], str]
_Advice = Callable[[Config, _Figures], str]

_DRIFTED = 1.5
"""Length of fakes, against entities, beyond which G has gone too far rather than not far enough."""


def worded(warning: HealthWarning, config: Config) -> HealthWarning:
    """A warning of a `Trainer`, which has figures alone, with its message and advice."""
    if warning.message:
        return warning
    sentence, advice = _SAID[warning.code]
    message = sentence(warning.figures, warning.pathway or "")
    return dataclasses.replace(warning, message=message, advice=advice(config, warning.figures))


def in_words(event: Event, config: Config) -> Event:
    """Any event as it is written: warnings are `worded`."""
    return worded(event, config) if isinstance(event, HealthWarning) else event


def _share(part: float) -> str:
    return f"{100 * part:.0f} %"


def _collapse(found: _Figures, pathway: str) -> str:
    signs = []
    if found["cosine"] > COLLAPSED_COSINE:
        signs.append(f"its fakes for different conditions point one way (mean cosine {found['cosine']:.2f})")
    if found["nearest"] <= found["few"]:
        signs.append(
            f"{found['conditions']:,.0f} conditions share {found['nearest']:.0f} of {found['entities']:,.0f} entities "
            "as the nearest to their fakes"
        )
    return f"{pathway} has collapsed: {', and '.join(signs)}."


def _copies(found: _Figures, pathway: str) -> str:
    return (
        f"The draws of {pathway} for one condition are copies: they spread only {100 * found['spread']:.1f} % as far "
        "as all its fakes."
    )


def _easy(found: _Figures, pathway: str) -> str:
    if "proposed_beats" in found:
        return (
            f"The proposals of {pathway} are easier than random negatives: an entity drawn from them outscores only "
            f"{_share(found['proposed_beats'])} of the others."
        )
    return (
        f"The fakes of {pathway} are easier than random negatives: only {_share(found['outscores_random'])} outscore a "
        "random entity, so they teach the base model less than one would."
    )


def _false_negatives(found: _Figures, pathway: str) -> str:
    what = (
        f"fakes of {pathway} lie nearest to a known true answer" if pathway else "negatives are known facts"
    )
    return (
        f"{_share(found['share'])} of the {what} (random negatives: {_share(found['by_chance'])}), so true facts are "
        "trained as false."
    )


def _unstable(found: _Figures, pathway: str) -> str:
    return (
        f"The loss of {pathway or 'D'} swings: from one round of the game to the next it changes by "
        f"{found['swing']:.1f} on average, between {found['least']:.1f} and {found['most']:.1f}."
    )


def _rates(found: _Figures) -> str:
    return (
        f"(over the last {found['rounds']:.0f} rounds of the game, its mean probability of being real is "
        f"{found['real']:.2f} for real entities and {found['fake']:.2f} for fakes)"
    )


def _strong(found: _Figures, pathway: str) -> str:
    return f"D nearly always tells fakes from real entities {_rates(found)}, so G gets little to learn from."


def _weak(found: _Figures, pathway: str) -> str:
    if found["real"] - found["fake"] < -TOO_WEAK[0]:
        return f"D takes fakes for real more than real entities {_rates(found)}: G has outrun it."
    return (
        f"D takes fakes and real entities for the same {_rates(found)}, although fakes are {found['scale']:.2g} times "
        "as long: it has not learned to tell them apart."
    )


def _below(found: _Figures, pathway: str) -> str:
    return (
        f"The model ranks worse than no model: its last {RANKINGS} valid MRRs are {found['mrr']:.3f} at most "
        f"and do not rise, while ranking by how often an entity fills the slot gets {found['floor']:.3f}."
    )


def _nothing(found: _Figures, pathway: str) -> str:
    return (
        "Scores do not tell facts from anything: a random entity outscores the true answer in "
        f"{_share(found['share'])} of cases, ties counted half, and by chance it would in half of them."
    )


def _spread_out(config: Config, found: _Figures) -> str:
    film = "a smaller FiLM weight (λ), " if config.film == "trained" else ""
    return f"Try a longer warm-up, more noise (σ), {film}or a lower learning rate of G."


def _harder(config: Config, found: _Figures) -> str:
    if config.proposes:
        return "Play more often, or give the cross-entropy of G more weight."
    if found["scale"] > _DRIFTED:
        return f"Lower the learning rate of G: its fakes are {found['scale']:.2g} times as long as entities."
    return "Give G more steps (k_G) or a higher learning rate."


def _truer(config: Config, found: _Figures) -> str:
    if config.fakes:
        return "Use fewer generated negatives (N_s), or more noise (σ)."
    return "Use fewer negatives (N_s), or a sampler that looks less for those that score high."


_SAID: dict[str, tuple[_Sentence, _Advice]] = {
    "collapse": (_collapse, _spread_out),
    "copies": (
        _copies,
        lambda config, found: "Raise the noise (σ), also relative to the spread of the entities.",
    ),
    "easier-than-random": (_easy, _harder),
    "false-negatives": (_false_negatives, _truer),
    "unstable": (_unstable, lambda config, found: "Lower the learning rates of D and G."),
    "d-too-strong": (
        _strong,
        lambda config, found: "Lower the learning rate of D, or give G more steps (k_G).",
    ),
    "d-too-weak": (_weak, lambda config, found: "Raise the learning rate of D or k_D."),
    "tells-nothing": (
        _nothing,
        lambda config, found: "Lower the learning rates or the L2 weight, which can make all scores alike.",
    ),
    "below-floor": (_below, lambda config, found: "Lower the learning rates, or train longer."),
}
