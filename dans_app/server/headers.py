"""What every answer of the server tells the browser not to do with it."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import streamlit
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dans_lab.sharing.settings import current

_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def _scripts_of_the_page() -> str:
    """The scripts that stand in Streamlit's own page, by their hashes: no other text of a page is ever run."""
    page = Path(streamlit.__file__).with_name("static") / "index.html"
    scripts = _SCRIPT.findall(page.read_text(encoding="utf-8"))
    hashes = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in scripts]
    return " ".join(f"'sha256-{each}'" for each in hashes)


POLICY = {
    "default-src": "'self'",
    # Streamlit brings the components of this app as modules in blobs.
    "script-src": f"'self' blob: {_scripts_of_the_page()}",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self'",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
}
"""Where a page of the app may get things from: from its own server alone."""


class Headers:
    """Adds them to every answer, those of other middleware included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app does, with these headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                added = [pair for pair in _headers() if pair[0] not in given]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self.app(scope, receive, answer)


def policy(**instead: str) -> str:
    """The value of Content-Security-Policy, with other sources for some kinds, such as script_src="'none'"."""
    sharing = current()
    framed = " ".join(["'self'", *(sharing.embedders if sharing else ())])
    kinds = POLICY | {name.replace("_", "-"): source for name, source in instead.items()}
    return "; ".join(f"{kind} {sources}" for kind, sources in {**kinds, "frame-ancestors": framed}.items())


def _headers() -> list[tuple[bytes, bytes]]:
    return [
        (b"content-security-policy", policy().encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    ]
