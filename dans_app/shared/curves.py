"""Live curves that keep their zoom, as one inline component: the panels of one run, or of several on shared axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import streamlit as st

from dans_app.shared import components, theme
from dans_app.shared.run_history import RunHistory, thin
from dans_app.shared.theme import Look
from dans_core.config import Config
from dans_lab.event_words import LOSSES

_SCRIPT = Path(__file__).parent / "curves.js"

GUESS = math.log(2)
"""Loss of a discriminator that guesses."""

_RANKING = (
    "Filtered MRR over both sides: the mean of 1 / rank of the true answer among all entities; 1 is perfect. The "
    "popularity floor ranks by how often an entity fills the slot in train, with nothing learned."
)
_COMPARED = {
    "mrr": ("Ranking, valid split", _RANKING),
    **{name: (said.title, said.about) for name, said in LOSSES.items()},
}
"""The panels of several runs, by the name of the curve: title and explanation."""

_NOTHING = {"mrr": "No run has been ranked yet.", "base": "No run has finished an epoch yet."}
_GUESSING = {"name": "guessing", "y": GUESS, "color": theme.FLOOR.color}

_POINTS = 3200
"""Points of the lines of a panel together."""


def show(data: dict[str, Any], key: str = "curves") -> None:
    """Draw the panels of `panels` or `shared_panels`, or update them in place."""
    components.draw(_SCRIPT, data | {"ahead": _plotly()}, key)


@st.cache_resource(show_spinner=False)
def _plotly() -> str:
    """Where Streamlit serves the script that draws charts, for the browser to start ahead; "" if it is not found."""
    scripts = Path(st.__file__).parent / "static" / "static" / "js"
    found = sorted(scripts.glob("PlotlyChart.*.js"))
    base = st.get_option("server.baseUrlPath").strip("/")
    return f"/{base}/static/js/{found[0].name}".replace("//", "/") if found else ""


# --- one run and its twin --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Panel:
    """A panel of one run: its curves with their looks, what it shows, and why there is nothing in it yet."""

    title: str
    curves: tuple[tuple[str, Look], ...]
    about: Callable[[Config], str]
    waiting: Callable[[RunHistory, Config], str]
    gan: bool = False


def _about_generator(config: Config) -> str:
    pathways = "each pathway" if config.pathways == "both" else f"{config.pathways}, the only pathway"
    proposes = (
        ", and propose entities that the decoder expects as answers" if _proposals_count(config) else ""
    )
    return (
        f"L_G of {pathways}. Low: its fakes pass for real entities with the discriminator{proposes}. G_E makes a fake "
        "from the head alone, G_R from head and relation."
        + (" At 0.693 (ln 2) the discriminator is guessing." if _guessing("generator", [config]) else "")
    )


def _about_discriminator(config: Config) -> str:
    d_aux = ", D_aux tells which pathway made a fake" if has_aux(config) else ""
    return (
        f"D_adv tells real entities from fakes{d_aux}. At 0.693 (ln 2) a head is guessing; near 0 it is always right, "
        "and G learns little from a D_adv that is always right."
    )


def _about_base(config: Config) -> str:
    jump = (
        " It jumps where the warm-up ends, as from there it is taken against other negatives: losses before and after, "
        "or of two ways to choose negatives, cannot be compared."
    )
    return _COMPARED["base"][1] + (jump if config.waits and config.warmup_epochs else "")


def _no_gan(history: RunHistory, config: Config) -> str:
    if history.epoch < config.warmup_epochs:
        return (
            f"Warm-up: the base model trains alone until epoch {config.warmup_epochs}, so that the generator "
            "has something to imitate. The GAN starts then."
        )
    return "The GAN starts with the next epoch."


def _no_ranking(history: RunHistory, config: Config) -> str:
    first = min(config.eval_every, config.epochs)
    when = "the first epoch" if first == 1 else f"epoch {first:,}"
    return f"The first ranking comes after {when}."


_PANELS = {
    "generator": _Panel(
        "Generator loss", (("g_e", theme.G_E), ("g_r", theme.G_R)), _about_generator, _no_gan, gan=True
    ),
    "discriminator": _Panel(
        "Discriminator loss", (("d_adv", theme.D_ADV), ("d_aux", theme.D_AUX)), _about_discriminator, _no_gan, gan=True
    ),
    "base": _Panel(
        _COMPARED["base"][0], (("base", theme.BASE),), _about_base,
        lambda history, config: "The first epoch is on its way.",
    ),
    "ranking": _Panel(
        _COMPARED["mrr"][0], (("mrr", Look("MRR", theme.BASE.color)),), lambda config: _COMPARED["mrr"][1],
        _no_ranking,
    ),
}  # fmt: skip


def panels(
    history: RunHistory,
    config: Config,
    *,
    live: bool,
    floor: float | None,
    twin: RunHistory | None,
    twin_name: str,
    plays: bool = False,
) -> dict[str, Any]:
    """What the component draws of a run and, on the same axes, of its twin.

    The panels of the GAN are left out where neither has one. A run that `plays` draws its curves epoch by epoch when it
    is first seen. `floor` is the MRR of the popularity floor; `twin_name`
    stands behind the names of the twin's lines.
    """
    data = []
    for name, panel in _PANELS.items():
        series = [_line(history, key, look, config.epochs) for key, look in panel.curves]
        if twin is not None:
            series += [_twin_line(twin, key, look, twin_name, config.epochs) for key, look in panel.curves]
        drawn = [line for line in series if line]
        if panel.gan and not config.fakes and not drawn:
            continue
        ranked = name == "ranking"
        shown = {
            "id": name,
            "title": panel.title,
            "about": panel.about(config),
            "series": drawn,
            "rules": _guessing(name, [config]) if panel.gan else _floor(floor) if ranked else [],
            "marks": _best(history, "best", theme.BASE) if ranked else [],
            "empty": "" if drawn else panel.waiting(history, config),
        }
        data.append(shown | {"alt": _alt(shown, config.epochs)})
    return {
        "run": history.run_id,
        "epochs": config.epochs,
        "warm_up": config.warmup_epochs if config.waits else 0,
        "live": live,
        "plays": plays,
        "panels": data,
        "note": _note(data),
    }


def _twin_line(twin: RunHistory, key: str, look: Look, twin_name: str, epochs: int) -> dict[str, Any]:
    own = replace(look, name=f"{look.name}, {twin_name}", dash="4 4")
    line = _line(twin, key, own, epochs)
    return line | {"faint": True} if line else {}


# --- several runs ----------------------------------------------------------------------------------------------


def shared_panels(
    histories: Sequence[RunHistory],
    configs: Sequence[Config],
    looks: Sequence[Look],
    live: Sequence[bool],
    floor: float | None,
) -> dict[str, Any]:
    """What the component draws of several runs: a panel for each curve, in it a line for each run that has it.

    The name of a run's look stands for the run. `floor` is the MRR of the popularity floor where it is the same for
    all. The panels of the GAN are left out where no run has one.
    """
    epochs = max(config.epochs for config in configs)
    with_gan = [config for config in configs if config.fakes]
    warm_ups = {config.warmup_epochs for config in configs if config.waits}
    data = []
    for name, (title, about) in _COMPARED.items():
        gan = name not in ("mrr", "base")
        if gan and not with_gan:
            continue
        series, marks = [], []
        for history, look, growing in zip(histories, looks, live, strict=True):
            line = _line(history, name, look, epochs, _POINTS // len(histories))
            if line:
                series.append(line | {"live": growing})
            if line and name == "mrr":
                marks += _best(history, f"best of {look.name}", look, short=look.name)
        rules = _guessing(name, with_gan) if gan else []
        panel = {
            "id": name,
            "title": title,
            "about": f"{about} At 0.693 (ln 2) D is guessing." if rules else about,
            "series": series,
            "rules": rules or (_floor(floor) if name == "mrr" else []),
            "marks": marks,
            "empty": "" if series else _NOTHING.get(name, "The GAN starts after the warm-up."),
        }
        data.append(panel | {"alt": _alt(panel, epochs)})
    return {
        "run": ",".join(history.run_id for history in histories),
        "epochs": epochs,
        "warm_up": warm_ups.pop() if len(warm_ups) == 1 else 0,
        "live": any(live),
        "panels": data,
        "note": _note(data),
    }


# --- what both share -------------------------------------------------------------------------------------------


def _line(history: RunHistory, key: str, look: Look, epochs: int, points: int = 800) -> dict[str, Any]:
    """A curve of a run as the component draws it, with about so many `points`; empty while there is none.

    `reach` is how far, in epochs, a point speaks for its neighbourhood when hovered; `stretch` as in `thin`.
    """
    curve = history.curve(key)
    if not len(curve):
        return {}
    x, y, stretch = thin(curve, epochs, points)
    gap = curve.epochs[1] - curve.epochs[0] if len(curve) > 1 else 1
    return {
        "name": look.name,
        "color": look.color,
        "dash": look.dash,
        "faint": False,
        "x": x,
        "y": y,
        "reach": max(gap, stretch),
        "stretch": stretch,
    }


def _best(history: RunHistory, name: str, look: Look, **more: str) -> list[dict[str, Any]]:
    """The mark of the best ranking, if there was any."""
    best = history.best
    if best is None:
        return []
    return [{"name": f"{name} {best.mrr:.3f}", "x": best.epoch, "y": best.mrr, "color": look.color} | more]


def _floor(floor: float | None) -> list[dict[str, Any]]:
    if floor is None:
        return []
    return [{"name": "popularity floor", "short": "floor", "y": floor, "color": theme.FLOOR.color}]


def _proposals_count(config: Config) -> bool:
    """Whether L_G has the cross-entropy of proposals in it."""
    return config.reading == "entities" and config.ce_weight > 0


def _guessing(panel: str, configs: Sequence[Config]) -> list[dict[str, Any]]:
    """The rule where a discriminator guesses, in a panel of the GAN in which it means that for all runs."""
    of_generator = panel in ("generator", "g_e", "g_r")
    more = any(_proposals_count(config) or config.adv_weight != 1 for config in configs)
    return [] if of_generator and more else [_GUESSING]


def _note(data: Sequence[dict[str, Any]]) -> str:
    stretch = max((line["stretch"] for panel in data for line in panel["series"]), default=1)
    return "" if stretch == 1 else f"Lines keep the lowest and highest point of every {stretch} epochs."


def has_aux(config: Config) -> bool:
    """Whether a run's discriminator has D_aux, which needs two pathways to tell apart and a loss that asks it to."""
    return config.pathways == "both" and (config.aux_weight > 0 or config.aux_weight_g > 0)


def _alt(panel: dict[str, Any], epochs: int) -> str:
    """What the panel shows now, in a sentence for a screen reader."""
    if panel["empty"] or not panel["series"]:
        return f"{panel['title']}: nothing to show yet."
    now = ", ".join(
        f"{line['name']} {line['y'][-1]:.3f} at epoch {line['x'][-1]:,}"
        for line in panel["series"]
        if line["x"]
    )
    extra = "".join(f"; {item['name']} {item['y']:.3f}" for item in panel["rules"])
    best = "".join(f"; {mark['name']} at epoch {mark['x']:,}" for mark in panel["marks"])
    return f"{panel['title']} by epoch, of {epochs:,}: {now}{extra}{best}."
