"""The lecture plans of docs, and the addresses of other screens for the links of a teacher."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from dans_data.shipped import TOP

DOCS = TOP / "docs"

PLANS = {"lecture-45.md": "A lecture of 45 minutes", "lecture-15.md": "A lecture of 15 minutes"}
"""The plans by their files, with their titles."""


_PLACE = re.compile(r"^`/([a-z]*(?:\?[^`\s]*)?)`$", re.MULTILINE)
"""A line of a plan that is the address of a screen."""


def plan(name: str, address: str) -> str:
    """The text of a plan without its heading, in Markdown; its addresses are links beside this one."""
    text = (DOCS / name).read_text(encoding="utf-8").partition("\n")[2].strip()
    return _PLACE.sub(lambda found: f"[`/{found[1]}`]({beside(address, found[1])})", text)


def places(name: str) -> dict[str, str]:
    """The addresses of a plan, and what it says of the screen behind each."""
    parts = _PLACE.split((DOCS / name).read_text(encoding="utf-8"))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def quoted(said: str) -> list[str]:
    """What a plan says that a screen says."""
    return re.findall(r"^> (.+)$", said, re.MULTILINE)


def beside(address: str, place: str) -> str:
    """The address of another screen of the same app: `place` is its path and query, as in "lessons?lesson=film"."""
    url = urlsplit(address)
    folder = url.path.rpartition("/")[0]
    path, _, query = place.partition("?")
    return url._replace(path=f"{folder}/{path}", query=query, fragment="").geturl()
