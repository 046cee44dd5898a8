"""One place for how each part of the method looks: its name, colour, marker and dash, on every screen.

Each colour has a contrast of at least 3 : 1 on the light and on the dark background, so one value serves both.
No meaning is carried by colour alone: lines differ in dash, points in marker shape.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dans_app.server.inspecting import Which
from dans_core.declared import DECLARED
from dans_lab.names import DATASETS as DATASETS
from dans_lab.names import DECODERS as DECODERS
from dans_lab.names import SAMPLERS as SAMPLERS
from dans_lab.names import SAMPLERS_ABOUT as SAMPLERS_ABOUT


@dataclass(frozen=True)
class Look:
    """How one part is drawn. `marker` is a Plotly symbol, `dash` an SVG dash pattern ("" is solid)."""

    name: str
    color: str
    marker: str = "circle"
    dash: str = ""
    about: str = ""


POSITIVE = Look("Real entities", "#0B9268", "circle", about="Embeddings of the entities of the graph.")
G_E = Look("G_E", "#D4601B", "diamond", about="Entity-wise pathway: makes fakes from the head entity alone.")
G_R = Look("G_R", "#3A7BD5", "square", "7 3", "Relation-wise pathway: makes fakes from head and relation.")
RANDOM = Look("Random", "#838A96", "x", "2 3", "Entities drawn at random.")
SAMPLER = Look("Sampler", "#AD8200", "star", "10 3 2 3", "Entities that the run's own sampler chooses.")
BASE = Look("Base model", "#0B9268", "circle", about="The embedding model that is being trained.")
D_ADV = Look("D_adv", "#B4478C", "triangle-up", about="Head of the discriminator: real entity or fake?")
D_AUX = Look("D_aux", "#7D66CF", "triangle-down", "7 3", "Head of the discriminator: which pathway made it?")
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

OPINION = ["#B4478C", "#A9A3B0", "#0B9268"]
"""Colours from "fake" by "cannot tell" to "real"."""

SEQUENCE = ["#3B4C8C", "#5B6C8F", "#8E8B79", "#C2A94F", "#F2CF3C"]
"""From low to high; lightness rises all the way, so it reads without seeing colours (after cividis)."""

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
