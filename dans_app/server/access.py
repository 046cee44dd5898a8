"""Who comes in to a shared server: asked before any page, file or WebSocket, and told to the app in two headers.

A visitor shows a ticket, that is a signed cookie which the access code or signing in gave, or comes through a reverse
proxy that says who it is. Nothing that a browser writes into these two headers reaches the app.
"""

from __future__ import annotations

import asyncio
import time
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, quote, unquote

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config

from dans_app.server import login_page, signing_in
from dans_data.errors import InputError
from dans_lab.sharing import tickets
from dans_lab.sharing.codes import LONGEST
from dans_lab.sharing.patience import Patience
from dans_lab.sharing.roles import ROLES, Role, Visitor
from dans_lab.sharing.settings import Sharing, current
from dans_lab.sharing.tickets import Ticket

COOKIE = "dans_ticket"

ROLE_HEADER = b"x-dans-role"
VISITOR_HEADER = b"x-dans-visitor"
"""What the app is told; whoever else sends them is not heard."""

CLOSED = "This server is shared; open it in a browser and log in first.\n"
BY_PROXY = "This server is shared; it is reached through its proxy alone, which says who asks.\n"
TEACHERS = "This part of the server is for teachers.\n"
NO_UPLOADS = "Adding files is for students and teachers.\n"
UNHEARD = "This is no form of this server.\n"

_TOLD_OF_SERVER = ("/_stcore/metrics", "/_stcore/script-health-check")
_MOST_BYTES = 4_096
"""Of a form that is sent to log in."""

_MOST_TRIES_AT_ONCE = 2
"""Codes that are tried at the same time, each of which takes a core and 16 MiB for a moment."""

_MOST_AT_THE_PROVIDER = 16
"""Visitors for whom the provider is asked at the same time."""

_SLOWLY = 0.5
"""Seconds more that a wrong code takes."""

_MOST_LOGGED_OUT = 10_000
_LONGEST_NAME = 100


class Access:
    """Lets visitors in who may come, and tells the app who they are."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._patience = Patience()
        self._trying = asyncio.Semaphore(_MOST_TRIES_AT_ONCE)
        self._signing_in = asyncio.Semaphore(_MOST_AT_THE_PROVIDER)
        self._logged_out: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have the app do so."""
        sharing = current()
        if sharing is None or scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        proxied = _through_proxy(scope, sharing)
        ticket = None if proxied else self._ticket(scope, sharing)
        visitor = proxied or (ticket.visitor if ticket else None)
        scope = _told(scope, visitor)
        if scope["type"] == "http":
            answer = await self._own_answer(scope, receive, sharing, visitor)
            await (answer or self.app)(scope, receive, send)
        elif visitor is None:
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self.app(scope, self._while_valid(receive, scope, sharing) if ticket else receive, send)

    async def _own_answer(
        self, scope: Scope, receive: Receive, sharing: Sharing, visitor: Visitor | None
    ) -> Response | None:
        """What is said instead of the app's answer, if anything is."""
        base, path, method = base_path(), _path(scope), scope["method"]
        if path == "/login" and (sharing.codes or sharing.sign_in):
            if method == "POST" and sharing.codes:
                return await self._log_in(scope, receive, sharing)
            return login_page.ask(base, f"{base}/", status=200)
        if sharing.sign_in is not None and method == "GET":
            if path == signing_in.BEGIN:
                asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))
                goes_to = _inside(asked.get("next", [""])[0])
                return signing_in.begin(base, goes_to, _is_secure(scope, sharing))
            if path in (signing_in.TO_PROVIDER, signing_in.BACK):
                return await self._at_the_provider(scope, receive, sharing, path)
            if path == signing_in.LEAVE and visitor is None:
                left = await signing_in.heard(self.app, scope, receive)
                # Streamlit has its page at all that is no route, such as with a slash more.
                return left if left.status_code == 302 else _closed(scope, sharing)
        if path == "/logout" and visitor is not None:
            if method == "POST":
                return self._log_out(scope, sharing)
            return login_page.who(base, visitor, leave=self._ticket(scope, sharing) is not None)
        if visitor is None:
            return _closed(scope, sharing)
        if path in _TOLD_OF_SERVER and not visitor.is_at_least("teacher"):
            return PlainTextResponse(TEACHERS, 403)
        adds = path.startswith("/_stcore/upload_file") and method in ("PUT", "POST")
        if adds and not visitor.is_at_least("student"):
            return PlainTextResponse(NO_UPLOADS, 403)
        return None

    async def _at_the_provider(
        self, scope: Scope, receive: Receive, sharing: Sharing, path: str
    ) -> Response | None:
        """The answer of Streamlit's route, with a ticket for whoever has signed in and may come in."""
        assert sharing.sign_in is not None
        if path == signing_in.BACK and not signing_in.is_answer(scope):
            return RedirectResponse(f"{base_path()}/", 303)
        async with self._signing_in:
            answer = await signing_in.heard(self.app, scope, receive)
        following, secure = _inside(signing_in.following(scope)), _is_secure(scope, sharing)
        if path == signing_in.TO_PROVIDER:
            goes_on = answer.status_code == 302
            return answer if goes_on else login_page.ask(base_path(), following, signing_in.NO_ANSWER, 502)
        said = signing_in.claims(answer, sharing)
        if said is None:
            refused = login_page.ask(base_path(), following, signing_in.NOT_DONE, 403)
            refused.raw_headers += signing_in.cookies(answer, False, secure)
            return refused
        try:
            visitor = sharing.sign_in.visitor(said, sharing.usual_role)
        except InputError as error:
            problem = f"{str(error)[:1].upper()}{str(error)[1:]}."
            refused = login_page.ask(base_path(), following, problem, 403)
            refused.raw_headers += signing_in.cookies(answer, False, secure)
            return refused
        welcome = RedirectResponse(following, 303, {"cache-control": "no-store"})
        welcome.raw_headers += signing_in.cookies(answer, True, secure)
        _set_cookie(welcome, Ticket(visitor, int(time.time())).signed(sharing.ticket_key), scope, sharing)
        return welcome

    async def _log_in(self, scope: Scope, receive: Receive, sharing: Sharing) -> Response:
        body = await _body(receive)
        try:
            form = parse_qs(body.decode(), max_num_fields=4) if body is not None else {}
        except (UnicodeDecodeError, ValueError):
            form = {}
        code = form.get("code", [""])[0].strip()
        following = _inside(form.get("next", [""])[0])
        if not code or len(code) > LONGEST:
            return PlainTextResponse(UNHEARD, 400)
        address = _address(scope, sharing)
        if wait := self._patience.ask(address, time.monotonic()):
            problem = f"Too many wrong codes came from your address; wait {wait} s before the next one."
            answer = login_page.ask(base_path(), following, problem, 429)
            answer.headers["retry-after"] = str(wait)
            return answer
        async with self._trying:
            role = await asyncio.to_thread(_role_of, code, sharing)
        if role is None:
            await asyncio.sleep(_SLOWLY)
            return login_page.ask(base_path(), following, "That is not the access code.")
        self._patience.give_back(address)
        ticket = Ticket.new(role, time.time(), _known(scope, sharing))
        answer = RedirectResponse(following, 303, {"cache-control": "no-store"})
        _set_cookie(answer, ticket.signed(sharing.ticket_key), scope, sharing)
        return answer

    def _log_out(self, scope: Scope, sharing: Sharing) -> Response:
        ticket = self._ticket(scope, sharing)
        if ticket is not None:
            now = time.time()
            self._logged_out[ticket.signed(sharing.ticket_key)] = ticket.since + tickets.SECONDS
            if len(self._logged_out) > _MOST_LOGGED_OUT:
                self._logged_out = {name: end for name, end in self._logged_out.items() if end > now}
        answer: Response
        if ticket is not None and ticket.is_of_a_person:
            # Not a redirect, since a browser follows none from a form to another site.
            answer = login_page.leave(f"{base_path()}{signing_in.LEAVE}")
        else:
            where = "login" if sharing.codes or sharing.sign_in else ""
            answer = RedirectResponse(f"{base_path()}/{where}", 303)
        answer.delete_cookie(COOKIE, path=base_path() or "/")
        return answer

    def _ticket(self, scope: Scope, sharing: Sharing) -> Ticket | None:
        """A ticket that opens the door."""
        ticket = _known(scope, sharing)
        if ticket is None or not ticket.is_valid(time.time()):
            return None
        return None if ticket.signed(sharing.ticket_key) in self._logged_out else ticket

    def _while_valid(self, receive: Receive, scope: Scope, sharing: Sharing) -> Receive:
        """What comes over a WebSocket, until its ticket opens the door no more."""

        async def hear() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and self._ticket(scope, sharing) is None:
                return {"type": "websocket.disconnect", "code": 1008}
            return message

        return hear


def _role_of(code: str, sharing: Sharing) -> Role | None:
    """The highest role that this code opens; all are tried, so that the time tells nothing."""
    fitting = {role for role, kept in sharing.codes.items() if kept.fits(code)}
    return max(fitting, key=ROLES.index, default=None)


def _closed(scope: Scope, sharing: Sharing) -> Response:
    """What those hear who are not in."""
    if not (sharing.codes or sharing.sign_in):
        return PlainTextResponse(BY_PROXY, 403)
    asked = {name: value for name, value in scope["headers"]}
    if scope["method"] != "GET" or b"text/html" not in asked.get(b"accept", b""):
        return PlainTextResponse(CLOSED, 401, {"cache-control": "no-store"})
    # A cookie that is the site's alone stays at home when a link elsewhere leads here.
    if asked.get(b"sec-fetch-site") == b"cross-site" and asked.get(b"sec-fetch-dest") == b"document":
        return login_page.again()
    query = scope.get("query_string", b"").decode("latin-1")
    where = quote(scope["path"], safe="/") + (f"?{query}" if query else "")
    return login_page.ask(base_path(), _inside(where))


# --- who asks ------------------------------------------------------------------------------------------------------


def _told(scope: Scope, visitor: Visitor | None) -> Scope:
    """The request as the app gets it."""
    headers = [pair for pair in scope["headers"] if pair[0] not in (ROLE_HEADER, VISITOR_HEADER)]
    if visitor is not None:
        said = quote(visitor.id, safe="").encode()
        headers += [(ROLE_HEADER, visitor.role.encode()), (VISITOR_HEADER, said)]
    return {**scope, "headers": headers}


def heard(role: str | None, visitor: str | None) -> Visitor | None:
    """Who these headers, as the app got them, tell of."""
    known = next((each for each in ROLES if each == role), None)
    return None if known is None or visitor is None else Visitor(unquote(visitor), known)


def _through_proxy(scope: Scope, sharing: Sharing) -> Visitor | None:
    """Who the reverse proxy says it is; None where the request comes from elsewhere, or it says nothing."""
    if not sharing.user_header or not sharing.is_proxy(_peer(scope)):
        return None
    names = [name for name in _values(scope, sharing.user_header) if name]
    if len(names) != 1 or len(names[0]) > _LONGEST_NAME or not names[0].isprintable():
        return None
    role = sharing.usual_role
    if sharing.role_header:
        said = _values(scope, sharing.role_header)
        if said:
            known = [each for each in ROLES if said == [each]]
            # A word that is no role is no reason to allow more than the least.
            role = known[0] if known else ROLES[0]
    return Visitor(f"user:{names[0]}", "teacher" if names[0] in sharing.teachers else role)


def _values(scope: Scope, header: str) -> list[str]:
    name = header.lower().encode("latin-1")
    return [
        value.decode("utf-8", "replace").strip() for key, value in scope["headers"] if key.lower() == name
    ]


def _peer(scope: Scope) -> str:
    return (scope.get("client") or ("",))[0]


def _address(scope: Scope, sharing: Sharing) -> str:
    """Where the request came from, as the proxies say that stand between."""
    address = _peer(scope)
    way = [part.strip() for value in _values(scope, "x-forwarded-for") for part in value.split(",")]
    while way and sharing.is_proxy(address):
        address = way.pop()
    return address


def _is_secure(scope: Scope, sharing: Sharing) -> bool:
    if sharing.is_proxy(_peer(scope)) and (said := _values(scope, "x-forwarded-proto")):
        return said[-1] == "https"
    return scope.get("scheme") in ("https", "wss")


def _known(scope: Scope, sharing: Sharing) -> Ticket | None:
    """The ticket that the cookie holds, valid or not."""
    jar = SimpleCookie()
    for value in _values(scope, "cookie"):
        for part in value[:16_384].split(";"):
            if part.strip().startswith(f"{COOKIE}="):
                try:
                    jar.load(part.strip())
                except CookieError:
                    return None
    return tickets.read(jar[COOKIE].value, sharing.ticket_key) if COOKIE in jar else None


def _set_cookie(answer: Response, words: str, scope: Scope, sharing: Sharing) -> None:
    secure = _is_secure(scope, sharing)
    # In a frame of another site's page a browser sends no cookie that is kept to one site, so where such pages are
    # allowed it is kept apart for each of them instead.
    framed = secure and bool(sharing.embedders)
    answer.set_cookie(
        COOKIE,
        words,
        max_age=30 * 86_400,
        path=base_path() or "/",
        httponly=True,
        secure=secure,
        samesite="none" if framed else "strict",
    )
    if framed:
        name, value = answer.raw_headers[-1]
        answer.raw_headers[-1] = (name, value + b"; Partitioned")


# --- where ---------------------------------------------------------------------------------------------------------


def base_path() -> str:
    """The path below which the app is, as "/dans"; "" for the root."""
    base = str(config.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}" if base else ""


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    base = base_path()
    if path != base and not path.startswith(f"{base}/"):
        return path
    return path.removeprefix(base).rstrip("/")


def _inside(where: str) -> str:
    """A place within the app to go to; its first page for any other."""
    base = base_path()
    fits = where.startswith(f"{base}/") and len(where) <= 2_000 and where.isprintable() and where.isascii()
    return where if fits and "\\" not in where and not where.startswith("//") else f"{base}/"


async def _body(receive: Receive) -> bytes | None:
    """The body of a small request; None for a larger one, or where the browser has gone."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > _MOST_BYTES:
            return None
        if not message.get("more_body"):
            return body
