"""The page on which a visitor of a shared server signs in or types the access code: plain HTML, without a script."""

from __future__ import annotations

import base64
import hashlib
import html
from pathlib import Path
from urllib.parse import urlencode

from starlette.responses import HTMLResponse, Response

from dans_app.server.headers import policy
from dans_lab.sharing.roles import MAY, Visitor
from dans_lab.sharing.settings import current

_STYLE = Path(__file__).with_name("login_page.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def ask(base: str, following: str, problem: str = "", status: int = 401) -> Response:
    """The ways in; `following` is where to go from there, `problem` what was wrong with the last try."""
    said = f'<p class="problem" role="alert">{html.escape(problem)}</p>' if problem else ""
    sharing = current()
    codes, sign_in = (
        sharing is None or bool(sharing.codes),
        sharing is not None and sharing.sign_in is not None,
    )
    asked = " or ".join(["sign in"] * sign_in + ["type the access code that you were given"] * codes)
    body = f"<h1>DANS Lab</h1>\n<p>This server is shared. {asked[:1].upper()}{asked[1:]}.</p>\n{said}"
    if sign_in:
        where = html.escape(f"{base}/sign-in?{urlencode({'next': following})}")
        body += f'<p><a class="button" href="{where}">Sign in</a></p>\n'
    if codes:
        body += _form(base, following, wrong=status in (401, 429) and bool(problem))
    return _page("Sign in" if sign_in else "Access code", body, status)


def _form(base: str, following: str, wrong: bool) -> str:
    marked = ' aria-invalid="true"' if wrong else ""
    return f"""<form method="post" action="{html.escape(base)}/login">
<input type="hidden" name="next" value="{html.escape(following)}">
<label for="code">Access code</label>
<input id="code" name="code" type="password" autocomplete="current-password" autocapitalize="none" \
spellcheck="false" maxlength="200" required autofocus{marked}>
<button>Come in</button>
</form>"""


def who(base: str, visitor: Visitor, leave: bool) -> Response:
    """Who one is here, and the button to log out where that is of use."""
    form = (
        f'<form method="post" action="{html.escape(base)}/logout"><button>Log out</button></form>'
        if leave
        else ""
    )
    body = f"""<h1>DANS Lab</h1>
<p>You are here as a <strong>{visitor.role}</strong> and may {html.escape(MAY[visitor.role])}.</p>
{form}<p><a href="{html.escape(base)}/">Back to the app</a></p>"""
    return _page("Who you are here", body, 200)


def leave(following: str) -> Response:
    """A page that goes on by itself to where the sign-in service is told."""
    go_on = f'<meta http-equiv="refresh" content="0; url={html.escape(following)}">'
    return _page("DANS Lab", "<p>Logging out …</p>", 200, go_on)


def again() -> Response:
    """A page that asks for itself once more: coming from another site, a browser keeps back the cookie."""
    return _page("DANS Lab", "<p>One moment …</p>", 200, '<meta http-equiv="refresh" content="0">')


def _page(title: str, body: str, status: int, head: str = "") -> Response:
    text = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)} · DANS Lab</title>
{head}<style>{_STYLE}</style>
</head>
<body><main>
{body}
</main></body>
</html>
"""
    own = policy(default_src="'none'", script_src="'none'", style_src=f"'sha256-{_STYLE_HASH}'")
    return HTMLResponse(text, status, {"content-security-policy": own, "cache-control": "no-store"})
