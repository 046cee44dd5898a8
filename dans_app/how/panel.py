"""What an opened part shows: its place in the cycle, its formula, its settings, and its lines."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dans_app.how import parts as how_parts
from dans_app.how.code import Code, code
from dans_app.how.formulas import Formula
from dans_app.how.parts import Part
from dans_app.shared import settings, theme
from dans_app.shared.words import markdown_text
from dans_core.config import Config
from dans_data.words import listed


def cycle(part: Part | None, config: Config) -> str:
    """The stages of an iteration in their order, those of the part marked; in Markdown."""
    there = how_parts.stages(config)
    taken = () if part is None or part.absent else part.stages
    return " → ".join(f":blue-badge[{stage}]" if stage in taken else stage for stage in there)


def iteration(config: Config) -> str:
    """What the stages do, and how often those of the game come; in Markdown."""
    if not config.fakes:
        return "Encode all entities, then update the base model on true triplets and negatives."
    updates = "update each pathway of G" if len(config.fakes) == 2 else f"update {next(iter(config.fakes))}"
    every = "every step" if config.play_every == 1 else f"one of {config.play_every:,} steps"
    times = [
        f"{name} {count:,} times" for name, count in (("G", config.k_g), ("D", config.k_d)) if count != 1
    ]
    more = f", {listed(times)}" if times else ""
    warm = f" after {config.warmup_epochs:,} epochs of warm-up" if config.warmup_epochs else ""
    return (
        f"Encode all entities, {updates}, update D, then update the base model on true triplets and negatives.\n\n"
        f"The game, that is the updates of G and D, is played in {every}{warm}{more}."
    )


def show_formula(formula: Formula) -> None:
    """The formula, and the same with numbers."""
    st.latex(_lines(formula.plain))
    if formula.numbers:
        st.latex(_lines(*formula.numbers))
    lines = [*([f"Epoch {formula.epoch:,}."] if formula.epoch is not None else []), *formula.words]
    if lines:
        st.caption("  \n".join(lines))


def _lines(*lines: str) -> str:
    return r"\begin{gathered} " + r" \\ ".join(lines) + r" \end{gathered}"


def setting_lines(part: Part, config: Config) -> list[str]:
    """The settings that act on a part, with their values and what is said of them; in Markdown."""
    return [
        f"**{_title(name)}** {markdown_text(_value(name, config))}  \n:small[{markdown_text(_about(name), 400)}]"
        for name in how_parts.settings(part, config)
    ]


def pieces(part: Part) -> list[Code]:
    """The lines of `dans_core` that do what a part is."""
    return [code(home) for home in part.code]


def _title(name: str) -> str:
    return markdown_text(str(Config.model_fields[name].title))


def _about(name: str) -> str:
    return str(Config.model_fields[name].description or "")


def _value(name: str, config: Config) -> str:
    value: Any = getattr(config, name)
    known = {"decoder": theme.DECODERS, "sampler": theme.SAMPLERS}.get(name, {})
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (int, float)):
        unit = settings.unit_of(name)
        return f"{value:,} {unit}".strip() if isinstance(value, int) else f"{value:g}"
    return str(known.get(value, value))
