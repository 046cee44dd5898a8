"""What the map draws, as plain values for its script: pictures, and how they are to be shown."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dans_core.kg import KnowledgeGraph
from dans_lab import looks
from dans_lab.looks import Look
from dans_lab.map.projection import Method, Projection
from dans_lab.map.relation_view import RelationView
from dans_lab.runs.frames import Frame

SCRIPT = Path(__file__).parent / "map.js"
"""It draws them: `drawMap`."""

ANSWERS, HELD_OUT, BACKGROUND = "true", "held-out", "others"
LAYERS: dict[str, Look] = {
    ANSWERS: Look("True answers", looks.POSITIVE.color, "circle", about="Entities that answer it in train."),
    HELD_OUT: Look(
        "Valid and test", looks.POSITIVE.color, "circle-open", about="Answers that only valid or test has."
    ),
    "G_E": Look("G_E fakes", looks.G_E.color, looks.G_E.marker, about=looks.G_E.about),
    "G_R": Look("G_R fakes", looks.G_R.color, looks.G_R.marker, about=looks.G_R.about),
    "random": Look("Random", looks.RANDOM.color, looks.RANDOM.marker, about="One random entity a query."),
    BACKGROUND: Look(
        "All else",
        looks.RANDOM.color,
        "circle",
        about="Other entities, and smaller the fakes of other queries.",
    ),
}
"""The layers of the map, by the name that stands in the URL."""

DEFAULT_LAYERS = (ANSWERS, "G_E", "G_R", "random", BACKGROUND)

COLOURS = {
    "layer": ("Layer", []),
    "hardness": ("Hardness: score minus that of a true answer", looks.SEQUENCE),
    "d_adv": ("D_adv: fake … real", looks.OPINION),
    "d_aux": ("D_aux: made by", [looks.G_E.color, "#A9A3B0", looks.G_R.color]),
    "epoch": ("Epoch", looks.SEQUENCE),
}
"""What can be told by colour: the words beside the scale, and its stops."""

COLOUR_NAMES = {
    "layer": "Layer",
    "hardness": "Hardness",
    "d_adv": "D_adv",
    "d_aux": "D_aux",
    "epoch": "Epoch, with trails",
}
"""The same as a choice, by its short name."""

NAMES: dict[Method, str] = {"umap": "UMAP", "tsne": "t-SNE", "pca": "PCA"}

MISREAD: dict[Method, str] = {
    "umap": "In UMAP, who is beside whom means something; the size of a cloud, the gap between two clouds and the "
    "directions mean nothing. Look again in PCA before you believe a gap.",
    "tsne": "t-SNE shows who is beside whom; sizes, gaps and directions mean nothing. Each epoch is fitted alone, so "
    "places cannot be compared between epochs: use UMAP or PCA for that.",
    "pca": "PCA keeps directions and true gaps, but only two of all dimensions: points that lie on one another here "
    "may be far apart in the others.",
}
"""How not to misread each picture."""


def plate(
    title: str,
    run_id: str,
    view: RelationView,
    frames: Sequence[Frame],
    kg: KnowledgeGraph,
    series: Projection,
    single: Projection | None = None,
    bounds: tuple[float, float, float, float] | None = None,
) -> dict[str, Any]:
    """One picture: places, D_adv's opinion and everything that hovering tells, at each of E snapshots.

    `bounds` (left, right, bottom, top) are those of several pictures that share a space; else they fit this one.
    Numbers travel as base64 of little-endian arrays. A point is a position in `series.rows`; entities come first.
    """
    last = frames[-1]
    # The last place is that of the entities that are not kept, whose row is -1.
    point_of = np.full(last.size + 1, -1)
    point_of[series.rows] = np.arange(len(series.rows))
    ids = last.entity_ids[series.rows[series.rows < len(last.entities)]]
    used, nearest = np.unique(
        np.concatenate([part.nearest.reshape(-1) for part in view.negatives.values()]), return_inverse=True
    )
    parts = np.split(nearest.reshape(-1), len(view.negatives))
    sources = [
        {
            "source": name,
            "points": point_of[part.rows].tolist(),
            "nearest": _pack(words, np.int32),
            "known": _pack(part.known, np.int8),
            **{
                key: _pack(values, np.float32)
                for key, values in (
                    ("cosine", part.cosine),
                    ("scale", part.scale),
                    ("score", part.score),
                    ("d", part.d_adv),
                    ("aux", part.aux),
                )
            },
        }
        for (name, part), words in zip(view.negatives.items(), parts, strict=True)
    ]
    points, held = point_of[last.rows_of(view.answers)], point_of[last.rows_of(view.held_out)]
    answers = np.stack([points, view.counts], axis=1)[points >= 0].tolist()
    shown = {
        "relation": kg.relation_name(view.relation),
        "other": "tail" if view.side == "head" else "head",
        "answers": answers,
        "held": held[held >= 0].tolist(),
        "heads": [kg.entities[head] for head in view.heads],
        "headIds": view.heads.tolist(),
        "trueScore": _pack(view.score_true, np.float32),
        "sources": sources,
    }
    shown["token"] = f"{zlib.crc32(repr(shown).encode()):x}"
    return {
        "title": title,
        "run": run_id,
        "method": NAMES[series.method],
        "epochs": list(series.epochs),
        "n": len(series.rows),
        "ids": ids.tolist(),
        "names": [kg.entities[entity] for entity in ids],
        "words": [kg.entities[entity] for entity in used],
        **_places(series, bounds),
        "single": None
        if single is None
        else {"epoch": single.epochs[0], "method": NAMES[single.method], **_places(single, None)},
        "d": _pack(_bytes(np.stack([_opinions(frame)[series.rows] for frame in frames])), np.uint8),
        "view": shown,
    }


def payload(
    plates: Sequence[dict[str, Any]],
    token: str,
    *,
    epoch: int | None,
    layers: Sequence[str],
    colour: str = "layer",
    field: bool = False,
    found: Sequence[int] = (),
    selection: Sequence[str] = (),
    live: bool = False,
    table: bool = False,
) -> dict[str, Any]:
    """What the component draws.

    `epoch` (None: the newest), `layers` and `selection` are where it begins; from then on they are the browser's. With
    another `token` it begins anew. `found` are ids of entities to be ringed and named. `table`: one stands below.
    """
    return {
        "plates": list(plates),
        "token": token,
        "epoch": epoch,
        "layers": list(layers),
        "layerNames": _layer_looks(),
        "colour": colour,
        "scales": _scales(),
        "field": field,
        "found": list(found),
        "selection": list(selection),
        "live": live,
        "table": table,
        "ring": looks.D_ADV.color,
    }


def colours_of(frame: Frame) -> list[str]:
    """What the snapshots of a run, one of which this is, can tell by colour: D_adv and D_aux only with a GAN."""
    missing = {"d_adv": not frame.has_fakes, "d_aux": not frame.has_aux}
    return [name for name in COLOURS if not missing.get(name)]


def parse(keys: Sequence[object], most: int = 2000) -> list[tuple[str, int]]:
    """The points that keys name, each once; anything else is left out, since keys come from a browser or an address."""
    found: dict[tuple[str, int], None] = {}
    for key in list(keys)[:most]:
        source, _, number = str(key).partition(":")
        if (
            source in ("e", "G_E", "G_R", "random")
            and number.isascii()
            and number.isdecimal()
            and len(number) < 10
        ):
            found[source, int(number)] = None
    return list(found)


def _layer_looks() -> list[dict[str, str]]:
    """The layers as the component takes them."""
    return [
        {"id": name, "name": look.name, "color": look.color, "marker": look.marker, "about": look.about}
        for name, look in LAYERS.items()
    ]


def _scales() -> dict[str, dict[str, Any]]:
    """The colour scales as the component takes them."""
    return {name: {"name": words, "stops": stops} for name, (words, stops) in COLOURS.items() if stops}


def _places(made: Projection, bounds: tuple[float, float, float, float] | None) -> dict[str, Any]:
    """Places in units of the picture's longer side, about its middle; both axes alike, so that PCA's gaps are true."""
    left, right, bottom, top = bounds or made.frame()
    size = max(right - left, top - bottom)
    units = (made.points - np.array([(left + right) / 2, (bottom + top) / 2], np.float32)) / size
    steps = np.round((units + 2.5) / 5 * 65535).clip(0, 65535)
    return {"xy": _pack(steps, np.uint16), "extent": [(right - left) / size, (top - bottom) / size]}


def _opinions(frame: Frame) -> npt.NDArray[np.float32]:
    return np.concatenate([frame.d_entities, frame.d_fakes_e, frame.d_fakes_r])


def _bytes(shares: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """0 … 1 as 0 … 254, and 255 for NaN."""
    return np.where(np.isnan(shares), 255, np.round(np.nan_to_num(shares).clip(0, 1) * 254)).astype(np.uint8)


def _pack(values: npt.NDArray[Any], kind: type[np.generic]) -> str:
    return base64.b64encode(np.asarray(values, dtype=np.dtype(kind).newbyteorder("<")).tobytes()).decode()
