"""Which requests the server answers: those under its own name, from its own pages, and of others only if it is shared.

A page of another site can have its name resolve to 127.0.0.1 and then speak with this server as if it were its own
(DNS rebinding). Its browser still says under which name it asks, and for which page: by Host and by Origin.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit import config

from dans_app.server import jobs
from dans_data.errors import InputError
from dans_data.limits import LIMITS_VARIABLE
from dans_lab.sharing import codes, limits
from dans_lab.sharing.settings import Sharing, current, share

WRONG_HOST = (
    "This server answers under its own names alone. If the name in the address is meant to lead here, start it with "
    "--server.allowedHosts and that name.\n"
)
WRONG_ORIGIN = (
    "This server answers to its own pages alone. If a page elsewhere is meant to reach it, start it with "
    "--server.corsAllowedOrigins and that page's origin.\n"
)

NOT_SHARED = (
    "This server is a person's own and not shared. To let others in, start it with the command serve, which asks for "
    "an access code.\n"
)

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:@/?#\[\]]+)(?::\d{1,5})?", re.ASCII)
_EVERY_ADDRESS = ("", "0.0.0.0", "::")
_names: set[str] = set()


class Gate:
    """Refuses a request or a WebSocket before anything else sees it, with one sentence and 421 or 403."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it pass or refuse it; a WebSocket is refused with 403 before it is accepted."""
        refused = refusal(scope) if scope["type"] in ("http", "websocket") else None
        if refused is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            status = 421 if refused == WRONG_HOST else 403
            await PlainTextResponse(refused, status)(scope, receive, send)


def refusal(scope: Scope) -> str | None:
    """Why a request of this ASGI scope is refused, or None.

    Answered are loopback names and addresses, the address that the request came in on, and what is configured:
    `server.allowedHosts`, `browser.serverAddress` and `server.address`. An Origin has to be the very host and port that
    is asked, or one of `server.corsAllowedOrigins`. What came in from a network is answered by a shared server alone.
    """
    if not _is_loopback(_came_in_on(scope)) and not _is_shared():
        return NOT_SHARED
    hosts, origins = _header(scope, b"host"), _header(scope, b"origin")
    host = hosts[0].lower() if len(hosts) == 1 else ""
    if not _is_own_name(host, scope):
        return WRONG_HOST
    # A proxy in front may speak HTTPS for a server that does not.
    own = {f"http://{host}", f"https://{host}", *_configured("server.corsAllowedOrigins")}
    if len(origins) > 1 or not own.issuperset(origin.lower() for origin in origins):
        return WRONG_ORIGIN
    return None


def _header(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def _configured(option: str) -> set[str]:
    value = config.get_option(option) or ()
    values = [value] if isinstance(value, str) else value
    return {text.strip().lower() for text in values}.difference(_EVERY_ADDRESS)


def _is_own_name(host: str, scope: Scope) -> bool:
    parts = _HOST.fullmatch(host)
    if parts is None:
        return False
    name = parts[1].strip("[]")
    allowed = _names | _configured("server.allowedHosts")
    above = {f"*{name[at:]}" for at, letter in enumerate(name) if letter == "."}
    ours = {"localhost"}.union(*map(_configured, ("browser.serverAddress", "server.address")))
    if name in ours or not allowed.isdisjoint({"*", name, *above}):
        return True
    try:
        address = ipaddress.ip_address(name)
        # An address needs no resolving, so no other site can make it lead here.
        came_in_on = ipaddress.ip_address(_came_in_on(scope))
    except ValueError:
        return False
    return address.is_loopback or address in (came_in_on, getattr(came_in_on, "ipv4_mapped", None))


def _came_in_on(scope: Scope) -> str:
    return (scope.get("server") or ("",))[0]


def _is_shared() -> bool:
    sharing = current()
    return sharing is not None and sharing.has_a_way_in


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def share_by_environment() -> None:
    """Share the server by the access codes in its environment: hosts of Streamlit run app.py themselves, not `serve`.

    Ends the program with a sentence where a code or a limit is none.
    """
    if current() is not None:
        return
    try:
        if not (found := codes.from_environment()):
            return
        allowed, rest = limits.parse(os.environ.get(LIMITS_VARIABLE, ""))
        limits.check_rest(rest)
    except InputError as error:
        print("error:", error, file=sys.stderr)
        sys.exit(2)
    os.environ[LIMITS_VARIABLE] = rest
    config.set_option("server.maxUploadSize", allowed.upload_megabytes)
    share(Sharing(codes=found, limits=allowed))


def refuse_open_house() -> None:
    """End the program with a sentence where it is about to listen to a network without asking who comes."""
    address = config.get_option("server.address") or ""
    if _is_shared() or (address not in _EVERY_ADDRESS and _leads_home(address)):
        return
    where = f"at {address}" if address else "at every address of this machine"
    print(
        f"error: the app would listen {where}, and whoever reaches it could train, delete and add data; start it with "
        "the command serve and --access-code-file, or with --server.address 127.0.0.1",
        file=sys.stderr,
    )
    sys.exit(2)


def _leads_home(address: str) -> bool:
    """Whether this name or address of a server is one of this machine alone."""
    try:
        found = socket.getaddrinfo(address, None)
    except OSError:
        # Streamlit says that it cannot listen there.
        return True
    return all(_is_loopback(str(each[4][0])) for each in found)


@asynccontextmanager
async def lifetime(_app: object) -> AsyncIterator[None]:
    """What a server does as it starts, and as it ends.

    Names that are allowed become this gate's to look at: with some, Streamlit refuses the WebSocket of a page that came
    by the server's own address. Then the app is opened in a browser where there is one, as `streamlit run` does for a
    script. A shared one has all screens ready before anyone comes: where it was started again, all come at once. In the
    end no run is left behind that would wait for its turn for ever.
    """
    _names.update(_configured("server.allowedHosts"))
    config.set_option("server.allowedHosts", [])
    if not config.get_option("server.headless"):
        address = config.get_option("server.address")
        named = (
            config.get_option("browser.serverAddress")
            if config.is_manually_set("browser.serverAddress")
            else ""
        )
        name = named or ("localhost" if address in (None, *_EVERY_ADDRESS) else address)
        scheme = "https" if config.get_option("server.sslCertFile") else "http"
        base = str(config.get_option("server.baseUrlPath") or "").strip("/")
        webbrowser.open(f"{scheme}://{name}:{config.get_option('server.port')}/{base}")
    if current() is not None:
        threading.Thread(target=_make_ready, name="make ready", daemon=True).start()
    yield
    if current() is not None:
        jobs.pool().close()


def _make_ready() -> None:
    # Its imports take a second, after which the server would listen that much later.
    from dans_app.server import loading

    loading.make_ready()
