"""One place for how each part of the method looks: its name, colour, marker and dash, on screens and in notebooks.

Each colour has a contrast of at least 3 : 1 on the light and on the dark background, so one value serves both.
No meaning is carried by colour alone: lines differ in dash, points in marker shape.
"""

from __future__ import annotations

from dataclasses import dataclass


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
D_ADV = Look("D_adv", "#B4478C", "triangle-up", about="Head of the discriminator: real entity or fake?")
D_AUX = Look("D_aux", "#7D66CF", "triangle-down", "7 3", "Head of the discriminator: which pathway made it?")

OPINION = ["#B4478C", "#A9A3B0", "#0B9268"]
"""Colours from "fake" by "cannot tell" to "real"."""

SEQUENCE = ["#3B4C8C", "#5B6C8F", "#8E8B79", "#C2A94F", "#F2CF3C"]
"""From low to high; lightness rises all the way, so it reads without seeing colours (after cividis)."""
