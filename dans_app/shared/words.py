"""Words for the screen: text of unknown origin made safe for Markdown and for Plotly, and sentences put together."""

from __future__ import annotations

import re

_FILE = re.compile(r"[^,:;]{0,80}\.[A-Za-z0-9]{1,7}(?=[,:]| is )")
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Characters that turn the direction of what follows them, which would be our words too."""


def markdown_text(text: str, limit: int = 80) -> str:
    """Text of unknown origin for Markdown: shortened, on one line, and nothing in it means anything."""
    # Streamlit draws icons for these where it finds them in the text, escaped or not; a word joiner keeps them apart.
    line = re.sub(r":(?=material|streamlit)", ":\u2060", _shortened(text, limit))
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|<>~$:&])", r"\\\1", line)


def plotly_text(text: str, limit: int = 48) -> str:
    """The same for Plotly, which renders some HTML in labels and hover text; it knows few entities, so quotes stay."""
    return _shortened(text, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _shortened(text: str, limit: int) -> str:
    """On one line of at most so many characters, each in the direction that it has by itself."""
    line = " ".join(_TURNS.sub("", text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def capital(text: str) -> str:
    """With a capital letter at its beginning, unless that is the name of a file."""
    if _FILE.match(text):
        return text
    return text[:1].upper() + text[1:]


def sentence(problem: object, limit: int = 300) -> str:
    """What the floors below say of a mistake, as a sentence of Markdown."""
    return f"{markdown_text(capital(str(problem)), limit)}."


def instead(problem: str, shown: str) -> str:
    """What is wrong and what is shown instead, where the first may end by asking what was meant."""
    if problem.endswith("?"):
        return f"{problem} {capital(shown)} is shown instead."
    return f"{problem}; {shown} is shown instead."
