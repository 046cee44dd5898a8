"""The drawing of the architecture as a component: parts that light up with their words, and can be pressed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dans_app.how.parts import Part
from dans_app.how.prose import Words
from dans_app.shared import components
from dans_core.config import Config

_SCRIPT = Path(__file__).parent / "drawing.js"

TRAINS = {"base_loss": ("encoder", "decoder"), "l_g": ("g_e", "g_r", "film"), "l_d": ("d", "d_adv", "d_aux")}
"""What each loss moves."""


def payload(
    parts: dict[str, Part], notes: dict[str, str], words: list[Words], chosen: str | None, config: Config
) -> dict[str, Any]:
    """What the component draws; `chosen` is the part that is open."""
    return {
        "parts": [
            {
                "id": part.name,
                "title": part.title,
                "short": part.short or part.title,
                "note": notes[part.name],
                "says": part.absent or part.says,
                "label": _label(part, notes[part.name]),
                "color": part.look.color if part.look else None,
                "absent": bool(part.absent),
            }
            for part in parts.values()
        ],
        "words": [[list(each) if isinstance(each, tuple) else each for each in line] for line in words],
        "chosen": chosen,
        "trains": {
            loss: [name for name in moved if not parts[name].absent] for loss, moved in TRAINS.items()
        },
        "auxToG": config.aux_weight_g > 0 and not parts["d_aux"].absent,
        "alt": "The architecture of DANS. Each part is a button that opens what it is.",
    }


def show(data: dict[str, Any], key: str, on_pick: Callable[[], None]) -> None:
    """Draw it, or update it in place; a pressed part is then `picked`."""
    components.draw(_SCRIPT, data, key, on_picked_change=on_pick)


def picked(key: str, parts: dict[str, Part]) -> str | None:
    """The part that was just pressed; it comes from a browser, so it is checked."""
    name = components.told(key, "picked")
    return name if isinstance(name, str) and name in parts else None


def _label(part: Part, note: str) -> str:
    """What a screen reader says of a part."""
    told = [part.title, note, part.absent or part.says]
    return ". ".join(text.rstrip(".") for text in told if text) + "."
