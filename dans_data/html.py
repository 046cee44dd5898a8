"""A small table for notebooks: names escaped, no colours of its own, so it is light or dark as the notebook is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

LONGEST = 80
"""Characters of a cell that are shown."""


def shown(value: object) -> str:
    """A cell as HTML: a number of figures that can be read, a text cut to its beginning, nothing for None."""
    if value is None:
        return ""
    text = (
        f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    )
    return escape(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")


def table(caption: str, rows: Iterable[Sequence[object]], head: Sequence[str] = (), note: str = "") -> str:
    """A table with a caption above, headings if there are any, and a note below."""
    lines = ["<table>", f'<caption style="text-align: left; font-weight: 600">{escape(caption)}</caption>']
    if head:
        cells = "".join(f'<th scope="col" style="text-align: left">{escape(name)}</th>' for name in head)
        lines.append(f"<thead><tr>{cells}</tr></thead>")
    lines.append("<tbody>")
    for row in rows:
        first, *rest = map(shown, row)
        begin = f'<th scope="row" style="text-align: left">{first}</th>' if not head else _cell(first)
        lines.append(f"<tr>{begin}{''.join(map(_cell, rest))}</tr>")
    lines.append("</tbody></table>")
    return "\n".join(lines) + (f"\n<p>{escape(note)}</p>" if note else "")


def _cell(content: str) -> str:
    return f'<td style="text-align: left">{content}</td>'
