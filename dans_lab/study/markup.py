"""Markdown that shows foreign text as it is, and tables that read well raw."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dans_data.words import visible_text


def markdown_text(text: str) -> str:
    """Text of a file that Markdown shows as it is, on one line."""
    line = visible_text(" ".join(text.split()))
    return re.sub(r"([\\`*<>\[\]|~#$]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", line)


def rows(head: Sequence[str], body: Sequence[Sequence[str]], words: int = 1) -> str:
    """A Markdown table with columns as wide as their cells; the first `words` and a "verdict" hold words."""
    lines = [head, *body]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(head))]
    left = [i < words or name == "verdict" for i, name in enumerate(head)]

    def drawn(line: Sequence[str]) -> str:
        cells = zip(line, widths, left, strict=True)
        return " | ".join(cell.ljust(width) if flush else cell.rjust(width) for cell, width, flush in cells)

    rule = " | ".join(
        "-" * (width - 1) + ("-" if flush else ":") for width, flush in zip(widths, left, strict=True)
    )
    return "\n".join(f"| {line} |" for line in (drawn(head), rule, *map(drawn, body)))
