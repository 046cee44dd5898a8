"""How everything looks that the screens draw: name, colour, marker and dash.

What the map draws, too, is from `dans_lab.looks`, and what is said there of colours holds here.
"""

from __future__ import annotations

from dataclasses import replace

from dans_app.server.inspecting import Which
from dans_core.declared import DECLARED
from dans_lab.looks import D_ADV as D_ADV
from dans_lab.looks import D_AUX as D_AUX
from dans_lab.looks import G_E as G_E
from dans_lab.looks import G_R as G_R
from dans_lab.looks import OPINION as OPINION
from dans_lab.looks import POSITIVE as POSITIVE
from dans_lab.looks import RANDOM as RANDOM
from dans_lab.looks import SEQUENCE as SEQUENCE
from dans_lab.looks import Look as Look
from dans_lab.names import DATASETS as DATASETS
from dans_lab.names import DECODERS as DECODERS
from dans_lab.names import SAMPLERS as SAMPLERS
from dans_lab.names import SAMPLERS_ABOUT as SAMPLERS_ABOUT

SAMPLER = Look("Sampler", "#AD8200", "star", "10 3 2 3", "Entities that the run's own sampler chooses.")
BASE = Look("Base model", "#0B9268", "circle", about="The embedding model that is being trained.")
FLOOR = Look(
    "Popularity floor",
    "#838A96",
    "line-ew",
    "2 3",
    "What a ranking by how often each entity fills the slot gets, without any learning.",
)

LOOKS = (
    Look("A", G_R.color, "circle"),
    Look("B", G_E.color, "diamond", "7 3"),
    Look("C", BASE.color, "square", "2 3"),
    Look("D", D_ADV.color, "x", "9 3 2 3"),
    Look("E", D_AUX.color, "triangle-up", "14 4"),
    Look("F", RANDOM.color, "triangle-down", "9 3 2 3 2 3"),
)
"""How runs, or rows of a study, side by side are drawn, in their order; the name is the letter of a run."""

BY_SOURCE = {"positive": POSITIVE, "G_E": G_E, "G_R": G_R, "sampler": SAMPLER, "random": RANDOM}
"""Looks by the `source` of an inspection row."""

WEIGHTS: dict[Which, str] = {"best": "Best epoch", "last": "Last epoch"}
"""Which weights of a run are looked at, as they are called on screen."""

WEIGHTS_HELP = "Best epoch: where the valid MRR was highest."

_MARKS = {
    "diamond": ":orange[◆]",
    "square": ":blue[■]",
    "star": ":yellow[★]",
    "x": ":gray[✕]",
    "circle": ":green[●]",
}

STATES = {
    "queued": "Waiting to start",
    "running": "Training",
    "paused": "Paused",
    "finished": "Finished",
    "stopped": "Stopped",
    "failed": "Failed",
    "interrupted": "Interrupted",
}


def own_negatives(sampler: str) -> Look:
    """How the entities that a sampler chooses are drawn: by its title, or as proposed where it makes fakes."""
    if sampler in DECLARED and DECLARED[sampler].fakes:
        return replace(SAMPLER, name="Proposed", about="Entities drawn from what the fakes propose.")
    return replace(SAMPLER, name=SAMPLERS.get(sampler, SAMPLER.name))


def rgba(color: str, alpha: float) -> str:
    """A `#rrggbb` colour made see-through, for fills and faint points."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


def mark(look: Look) -> str:
    """The marker of a look in its colour, in Markdown."""
    return _MARKS.get(look.marker, ":violet[▲]")


def plotly_dash(look: Look) -> str:
    """The dash of a look as Plotly reads it."""
    return ",".join(f"{length}px" for length in look.dash.split()) or "solid"
