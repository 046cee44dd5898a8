"""The map as a component of a page, and as a file of its own that opens in any browser."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

from dans_app.shared import components
from dans_lab import scripts
from dans_lab.map import plate

_SCRIPT = Path(__file__).parent / "map.js"


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
    values = json.dumps({**data, "table": False}).replace("<", "\\u003c")
    script = scripts.module(plate.SCRIPT)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{scripts.style(plate.SCRIPT)}"
        "body{max-width:1200px;margin:1.5rem auto;padding:0 1rem;font-family:ui-sans-serif,system-ui,sans-serif;"
        "color:#1e2530}</style></head>"
        f"<body><h2>{html.escape(title)}</h2><p>{html.escape(about)}</p><div id='here'></div>"
        f"<script id='data' type='application/json'>{values}</script><script type='module'>{script}\n"
        "drawMap({data: [JSON.parse(document.getElementById('data').textContent)], "
        "parentElement: document.getElementById('here')})</script></body></html>"
    )
