"""Words for the screen: text of unknown origin made safe, sentences put together, differences as numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence

_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Characters that turn the direction of what follows them, which would be our words too."""


def plain(text: str, limit: int = 80) -> str:
    """Text of unknown origin, made safe to stand in Markdown: shortened, on one line, nothing in it means anything."""
    line = " ".join(_TURNS.sub("", text).split())
    line = line if len(line) <= limit else line[: limit - 1] + "…"
    # Streamlit draws icons for these where it finds them in the text, escaped or not; a word joiner keeps them apart.
    line = re.sub(r":(?=material|streamlit)", ":\u2060", line)
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|<>~$:&])", r"\\\1", line)


def escape(name: str, limit: int = 48) -> str:
    """The same for Plotly, which renders some HTML in labels and hover text; it knows few entities, so quotes stay."""
    line = " ".join(_TURNS.sub("", name).split())
    line = line if len(line) <= limit else line[: limit - 1] + "…"
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def instead(problem: str, shown: str) -> str:
    """What is wrong and what is shown instead, where the first may end by asking what was meant."""
    if problem.endswith("?"):
        return f"{problem} {shown[:1].upper()}{shown[1:]} is shown instead."
    return f"{problem}; {shown} is shown instead."


def listed(parts: Sequence[str]) -> str:
    """ "A", "A and B", "A, B and C"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def number(value: float) -> str:
    """ "0.012", "−0.004"; never "−0.000"."""
    return f"{value:.3f}".replace("-", "−").replace("−0.000", "0.000")


def signed(value: float) -> str:
    """ "+0.012", "−0.004", "0.000"."""
    text = number(value)
    return text if text.startswith("−") or text == "0.000" else f"+{text}"


def p_words(p: float) -> str:
    """ "p = 0.031", "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
