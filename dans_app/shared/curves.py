"""Live curves that keep their zoom, as one inline component: the panels of one run, or of several on shared axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dans_app.shared import components, theme
from dans_app.shared.run_history import Curve, RunHistory, thin
from dans_app.shared.theme import Look
from dans_core.config import Config
from dans_core.events import Losses, told

_SCRIPT = Path(__file__).parent / "curves.js"

GUESS = math.log(2)
"""Loss of a discriminator that guesses."""

_RANKING = (
    "Filtered MRR over both sides: the mean of 1 / rank of the true answer among all entities; 1 is perfect. The "
    "popularity floor ranks by how often an entity fills the slot in train, with nothing learned."
)
_COMPARED = {
    "mrr": ("Ranking, valid split", _RANKING),
    **{name: (said.title, said.about) for name, said in told(Losses).items()},
}
"""The panels of several runs, by the name of the curve: title and explanation."""

_D_AUX = ", D_aux tells which pathway made a fake"
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


def panels(
    history: RunHistory,
    config: Config,
    *,
    live: bool,
    floor: float | None,
    twin: RunHistory | None,
    twin_name: str,
) -> dict[str, Any]:
    """What the component draws of a run and, on the same axes, of its twin.

    The panels of the GAN are left out where neither has one. `floor` is the MRR of the popularity floor; `twin_name`
    stands behind the names of the twin's lines.
    """
    stretch = 1

    def lines(*wanted: tuple[str, Look]) -> list[dict[str, Any]]:
        nonlocal stretch
        out = []
        for source, faint in ((history, False), (twin, True)):
            if source is None:
                continue
            for key, look in wanted:
                curve = source.curve(key)
                if not len(curve):
                    continue
                epochs, values, width = thin(curve, config.epochs)
                stretch = max(stretch, width)
                out.append(
                    {
                        "name": f"{look.name}, {twin_name}" if faint else look.name,
                        "color": look.color,
                        "dash": "4 4" if faint else look.dash,
                        "faint": faint,
                        "x": epochs,
                        "y": values,
                        "reach": _reach(curve, width),
                    }
                )
        return out

    gan = lines(("g_e", theme.G_E), ("g_r", theme.G_R))
    judge = lines(("d_adv", theme.D_ADV), ("d_aux", theme.D_AUX))
    base = lines(("base", theme.BASE))
    ranking = lines(("mrr", Look("MRR", theme.BASE.color)))
    waiting = _no_gan(history, config)
    data = [
        {
            "id": "generator",
            "title": "Generator loss",
            "about": f"L_G of {_pathways(config)}. Low: its fakes pass for real entities with the discriminator. G_E "
            "makes a fake from the head alone, G_R from head and relation. At 0.693 (ln 2) the discriminator is "
            "guessing.",
            "series": gan,
            "rules": [_GUESSING],
            "marks": [],
            "empty": "" if gan else waiting,
        },
        {
            "id": "discriminator",
            "title": "Discriminator loss",
            "about": f"D_adv tells real entities from fakes{_D_AUX * has_aux(config)}. At 0.693 (ln 2) "
            "a head is guessing; near 0 it is always right, and G learns little from a D_adv that is always right.",
            "series": judge,
            "rules": [_GUESSING],
            "marks": [],
            "empty": "" if judge else waiting,
        },
        {
            "id": "base",
            "title": _COMPARED["base"][0],
            "about": _COMPARED["base"][1],
            "series": base,
            "rules": [],
            "marks": [],
            "empty": "" if base else "The first epoch is on its way.",
        },
        {
            "id": "ranking",
            "title": "Ranking, valid split",
            "about": _RANKING,
            "series": ranking,
            "rules": _floor(floor),
            "marks": [
                {
                    "name": f"best {history.best.mrr:.3f}",
                    "x": history.best.epoch,
                    "y": history.best.mrr,
                    "color": theme.BASE.color,
                }
            ]
            if history.best
            else [],
            "empty": "" if ranking else f"The first ranking comes after {_first_ranking(config)}.",
        },
    ]
    if not config.fakes and not gan and not judge:
        data = data[2:]
    for panel in data:
        panel["alt"] = _alt(panel, config.epochs)
    return {
        "run": history.run_id,
        "epochs": config.epochs,
        "warm_up": config.warmup_epochs if config.waits else 0,
        "live": live,
        "panels": data,
        "note": _note(stretch),
    }


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
    stretch, data = 1, []
    for name, (title, about) in _COMPARED.items():
        gan = name not in ("mrr", "base")
        if gan and not with_gan:
            continue
        series, marks = [], []
        for history, look, growing in zip(histories, looks, live, strict=True):
            curve = history.curve(name)
            if not len(curve):
                continue
            x, y, width = thin(curve, epochs, _POINTS // len(histories))
            stretch = max(stretch, width)
            line = {
                "name": look.name,
                "color": look.color,
                "dash": look.dash,
                "faint": False,
                "live": growing,
            }
            series.append(line | {"x": x, "y": y, "reach": _reach(curve, width)})
            if name == "mrr" and history.best:
                best = {"name": f"best of {look.name} {history.best.mrr:.3f}", "short": look.name}
                marks.append(best | {"x": history.best.epoch, "y": history.best.mrr, "color": look.color})
        panel = {
            "id": name,
            "title": title,
            "about": f"{about} At 0.693 (ln 2) D is guessing." if gan else about,
            "series": series,
            "rules": [_GUESSING] if gan else _floor(floor) if name == "mrr" else [],
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
        "note": _note(stretch),
    }


def _floor(floor: float | None) -> list[dict[str, Any]]:
    if floor is None:
        return []
    return [{"name": "popularity floor", "short": "floor", "y": floor, "color": theme.FLOOR.color}]


def _note(stretch: int) -> str:
    return "" if stretch == 1 else f"Lines keep the lowest and highest point of every {stretch} epochs."


def _reach(curve: Curve, width: int) -> int:
    """How far, in epochs, a point speaks for its neighbourhood when hovered."""
    gap = curve.epochs[1] - curve.epochs[0] if len(curve) > 1 else 1
    return max(gap, width)


def has_aux(config: Config) -> bool:
    """Whether a run's discriminator has D_aux, which needs two pathways to tell apart and a loss that asks it to."""
    return config.pathways == "both" and (config.aux_weight > 0 or config.aux_weight_g > 0)


def _pathways(config: Config) -> str:
    return "each pathway" if config.pathways == "both" else f"{config.pathways}, the only pathway"


def _no_gan(history: RunHistory, config: Config) -> str:
    if history.epoch < config.warmup_epochs:
        return (
            f"Warm-up: the base model trains alone until epoch {config.warmup_epochs}, so that the generator "
            "has something to imitate. The GAN starts then."
        )
    return "The GAN starts with the next epoch."


def _first_ranking(config: Config) -> str:
    first = min(config.eval_every, config.epochs)
    return "the first epoch" if first == 1 else f"epoch {first:,}"


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
