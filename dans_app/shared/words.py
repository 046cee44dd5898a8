"""Words for the screen: text of unknown origin made safe, and sentences put together."""

from __future__ import annotations

import re

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
