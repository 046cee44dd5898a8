"""A provider of OpenID Connect on this machine, at which people of tests sign in by their name."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey

CLIENT = "dans"

PEOPLE = {
    "ada": {"email": "Ada@example.org", "email_verified": True},
    "bob": {"email": "bob@example.org", "email_verified": True},
    "dan": {"email": "dan@example.org", "email_verified": True},
    "cleo": {"email": "cleo@elsewhere.example", "email_verified": True},
    # Anyone may say of themselves that they are Ada.
    "mallory": {"email": "ada@example.org", "email_verified": False},
    "tom": {"email": "tom@example.org", "email_verified": True, "dans_role": ["staff", "teacher"]},
    "vera": {"email": "vera@example.org", "email_verified": True, "dans_role": "viewer"},
}
"""What the provider says of each."""


class Provider:
    """Answers at `url` until it is closed. `secret` is what the client has to know; `signed_out` who ended it here."""

    def __init__(self) -> None:
        self.secret = secrets.token_urlsafe(24)
        self.signed_out: list[str] = []
        self.key = ECKey.generate_key("P-256", auto_kid=True)
        self.codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(_Handler):
            of = provider

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> Provider:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def settings(self, address: str, **more: object) -> str:
        """The TOML file of a server that is opened at this address."""
        given = {
            "provider": self.url,
            "client_id": CLIENT,
            "client_secret": self.secret,
            "address": address,
            "people": ["*@example.org"],
            "teachers": ["ada@example.org"],
            "role_claim": "dans_role",
        }
        return "".join(f"{name} = {json.dumps(value)}\n" for name, value in {**given, **more}.items())

    def id_token(self, asked: dict[str, str]) -> str:
        """What is said of who signed in, signed."""
        name, now = asked["name"], int(time.time())
        said = {"iss": self.url, "aud": CLIENT, "sub": f"id-of-{name}", "iat": now, "exp": now + 300}
        claims = {**said, "nonce": asked["nonce"], "name": name.title(), **PEOPLE[name]}
        return jwt.encode({"alg": "ES256", "kid": self.key.kid}, claims, self.key)


class _Handler(BaseHTTPRequestHandler):
    of: Provider

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, _one_each(urlsplit(self.path).query)
        url = self.of.url
        if path == "/.well-known/openid-configuration":
            self._json({
                "issuer": url,
                "authorization_endpoint": f"{url}/authorize",
                "token_endpoint": f"{url}/token",
                "jwks_uri": f"{url}/keys",
                "end_session_endpoint": f"{url}/leave",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "code_challenge_methods_supported": ["S256"],
            })  # fmt: skip
        elif path == "/keys":
            self._json({"keys": [self.of.key.as_dict(private=False)]})
        elif path == "/authorize":
            kept = "".join(
                f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
                for name, value in query.items()
            )
            self._answer(
                200,
                f'<!doctype html><title>Provider</title><form method="post">{kept}<label>Name <input name="name">'
                "</label><button>Go on</button></form>".encode(),
            )
        elif path == "/leave":
            said = jwt.decode(query["id_token_hint"], self.of.key, algorithms=["ES256"]).claims
            self.of.signed_out.append(said["sub"])
            self._go(query["post_logout_redirect_uri"])
        else:
            self._answer(404, b"")

    def do_POST(self) -> None:
        asked = _one_each(self.rfile.read(int(self.headers["content-length"])).decode())
        if self.path.startswith("/authorize"):
            assert asked["client_id"] == CLIENT and "openid" in asked["scope"].split()
            if asked["name"] not in PEOPLE:
                answer = {"error": "access_denied"}
            else:
                code = secrets.token_urlsafe(16)
                self.of.codes[code] = asked
                answer = {"code": code}
            self._go(f"{asked['redirect_uri']}?{urlencode({**answer, 'state': asked['state']})}")
            return
        user, _, secret = (
            base64.b64decode(self.headers.get("authorization", "").removeprefix("Basic "))
            .decode()
            .partition(":")
        )
        if (unquote(user), unquote(secret)) != (CLIENT, self.of.secret):
            self._json({"error": "invalid_client"}, 401)
            return
        begun = self.of.codes.pop(asked["code"], None)
        if begun is None or begun["redirect_uri"] != asked["redirect_uri"] or not _proves(asked, begun):
            self._json({"error": "invalid_grant"}, 400)
            return
        token = self.of.id_token(begun)
        self._json({"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "id_token": token})

    def _json(self, value: object, status: int = 200) -> None:
        self._answer(status, json.dumps(value).encode(), ("Content-Type", "application/json"))

    def _go(self, where: str) -> None:
        self._answer(302, b"", ("Location", where))

    def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        if body.startswith(b"<!doctype"):
            self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(body)


def _one_each(text: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(text).items()}


def _proves(asked: dict[str, str], begun: dict[str, str]) -> bool:
    """Whether who asks for the token is who began, by PKCE."""
    digest = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == begun.get("code_challenge")
