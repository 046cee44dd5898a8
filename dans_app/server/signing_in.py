"""The way to a provider of OpenID Connect and back, which Streamlit's own routes go; what they answer is read here.

Streamlit asks the provider and checks what it says. Whoever has signed in gets a ticket of this server for it, as by an
access code, so that who is in is asked before anything else in one place only.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope
from streamlit.auth_util import encode_provider_token, get_cookie_with_chunks
from streamlit.web.server.starlette import starlette_auth_routes
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import TOKENS_COOKIE_NAME, USER_COOKIE_NAME

from dans_lab.sharing.settings import Sharing, current
from dans_lab.sharing.sign_in import CALLBACK

BEGIN, TO_PROVIDER, BACK, LEAVE = "/sign-in", "/auth/login", f"/{CALLBACK}", "/auth/logout"
"""Paths: ours where it begins, and Streamlit's to the provider, from there back, and to it for signing out."""

NO_ANSWER = "The sign-in service does not answer. Try again in a moment."
NOT_DONE = (
    "The sign-in service did not let you in. Try again; if that fails, the log of this server has the reason."
)

_PROVIDER = "default"
_FOLLOWING = "dans_following"
_MINUTES = 10
_LONGEST_REASON = 300


def secrets() -> dict[str, Any] | None:
    """What Streamlit has to know to sign people in, for `st.App`; None where this server does not."""
    sharing = current()
    if sharing is None or (sign_in := sharing.sign_in) is None:
        return None
    logging.getLogger(starlette_auth_routes.__name__).addFilter(_in_a_line)
    return {
        "auth": {
            "redirect_uri": sign_in.callback,
            "cookie_secret": sharing.cookie_secret,
            "client_id": sign_in.client_id,
            "client_secret": sign_in.client_secret,
            "server_metadata_url": sign_in.metadata_url,
        }
    }


def begin(base: str, following: str, secure: bool) -> Response:
    """Send a visitor on to the provider; `following` is where they go from there."""
    token = quote(encode_provider_token(_PROVIDER), safe="")
    answer = RedirectResponse(f"{base}{TO_PROVIDER}?provider={token}", 303, {"cache-control": "no-store"})
    answer.set_cookie(
        _FOLLOWING, quote(following, safe=""), max_age=60 * _MINUTES, path=base or "/", httponly=True, secure=secure,
        samesite="lax",
    )  # fmt: skip
    return answer


def following(scope: Scope) -> str:
    """Where a visitor wanted to go when they began; anyone may have written it."""
    cookies = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
    jar = _jar([cookies[:16_384].decode("latin-1")])
    return unquote(jar.get(_FOLLOWING, ""))


def is_answer(scope: Scope) -> bool:
    """Whether the provider sends someone back who signed in there, or tried; not who signed out."""
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return "code" in asked or "error" in asked


async def heard(app: ASGIApp, scope: Scope, receive: Receive) -> Response:
    """What Streamlit answers on one of its routes."""
    answer, body = Response(), b""

    async def keep(message: Message) -> None:
        nonlocal body
        if message["type"] == "http.response.start":
            answer.status_code = message["status"]
            answer.raw_headers = [
                pair
                for pair in message["headers"]
                if pair[0].lower() not in (b"content-length", b"content-type")
            ]
        elif message["type"] == "http.response.body":
            body += message.get("body", b"")

    await app(scope, receive, keep)
    answer.body = body
    answer.raw_headers.append((b"content-length", str(len(body)).encode()))
    return answer


def claims(answer: Response, sharing: Sharing) -> Mapping[str, object] | None:
    """What the provider says of someone, from Streamlit's answer to them; None where it did not let them in."""
    jar = _jar([value.partition(";")[0] for value in answer.headers.getlist("set-cookie")])

    def signed(name: str) -> bytes | None:
        return decode_signed_value(sharing.cookie_secret, name, jar.get(name, ""))

    found = get_cookie_with_chunks(signed, USER_COOKIE_NAME)
    said = json.loads(found) if found else None
    return said if isinstance(said, dict) and said.get("is_logged_in") is True else None


def cookies(answer: Response, signed_in: bool, secure: bool) -> list[tuple[bytes, bytes]]:
    """The cookies of Streamlit's answer, by which the provider is told of it when someone signs out.

    Who is not `signed_in` here gets none that say they are; over HTTPS they stay with it.
    """
    names = tuple(f"{name}{end}" for name in (USER_COOKIE_NAME, TOKENS_COOKIE_NAME) for end in ("=", "_"))
    kept = []
    for value in answer.headers.getlist("set-cookie"):
        if not value.startswith(names) or signed_in:
            more = "; Secure" if secure and "; secure" not in value.lower() else ""
            kept.append((b"set-cookie", f"{value}{more}".encode("latin-1")))
    return kept


def _jar(pairs: list[str]) -> dict[str, str]:
    jar: SimpleCookie = SimpleCookie()
    for pair in "; ".join(pairs).split(";"):
        try:
            jar.load(pair.strip())
        except CookieError:
            continue
    return {name: morsel.value for name, morsel in jar.items()}


def _in_a_line(record: logging.LogRecord) -> bool:
    """Of a mistake at the provider the log has the reason in a line, and no traceback."""
    if record.exc_info and (error := record.exc_info[1]):
        said = " ".join(f"{record.getMessage()} {type(error).__name__}: {error}".split())
        record.msg, record.args, record.exc_info, record.exc_text = said[:_LONGEST_REASON], (), None, None
    return True
