"""The map as a component of a page, and as a file of its own that opens in any browser."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dans_app.map import data as map_data
from dans_app.shared import components, theme

_SCRIPT = Path(__file__).parent / "map.js"


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
) -> dict[str, Any]:
    """What the component draws.

    `epoch` (None: the newest), `layers` and `selection` are where it begins; from then on they are the browser's. With
    another `token` it begins anew. `found` are ids of entities to be ringed and named.
    """
    return {
        "plates": list(plates),
        "token": token,
        "epoch": epoch,
        "layers": list(layers),
        "layerNames": map_data.looks(),
        "colour": colour,
        "scales": map_data.scales(),
        "field": field,
        "found": list(found),
        "selection": list(selection),
        "live": live,
        "ring": theme.D_ADV.color,
    }


def show(data: dict[str, Any], key: str) -> None:
    """Draw the map, or update it in place."""
    components.draw(_SCRIPT, data, key, default={"at": None}, on_at_change=lambda: None)


def state(key: str, token: str) -> dict[str, Any]:
    """What the person has done to the map since it began: epoch (None: the newest), layers, selection.

    Empty before anything was done. It comes from a browser, so it is checked for its form.
    """
    at = components.told(key, "at")
    if not isinstance(at, dict) or at.get("run") != token:
        return {}
    epoch, layers, selection = at.get("epoch"), at.get("layers"), at.get("selection")
    if (
        not (epoch is None or isinstance(epoch, int))
        or not isinstance(layers, list)
        or not isinstance(selection, list)
    ):
        return {}
    return {"epoch": epoch, "layers": layers, "selection": selection}


def page(data: dict[str, Any], title: str, about: str) -> str:
    """The same map, to play and hover, as one HTML file that needs nothing else."""
    # A name from a file may hold "</script>".
    values = json.dumps(data).replace("<", "\\u003c")
    script = components.module(_SCRIPT).replace("export default function", "const start = function")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{components.style(_SCRIPT)}"
        "body{max-width:1200px;margin:1.5rem auto;padding:0 1rem;font-family:ui-sans-serif,system-ui,sans-serif;"
        "color:#1e2530}</style></head>"
        f"<body><h2>{html.escape(title)}</h2><p>{html.escape(about)}</p><div id='here'></div>"
        f"<script id='data' type='application/json'>{values}</script><script type='module'>{script}\n"
        "start({data: [JSON.parse(document.getElementById('data').textContent)], "
        "parentElement: document.getElementById('here')})</script></body></html>"
    )
