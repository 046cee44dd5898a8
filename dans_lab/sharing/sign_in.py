"""Signing in by OpenID Connect: whose provider, as which client, who may come in, and who of them is a teacher."""

from __future__ import annotations

import hashlib
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dans_data.errors import InputError
from dans_data.triplets import printable, suggestion
from dans_lab.runs import bounded
from dans_lab.sharing.roles import ROLES, Role, Visitor

SECRET_VARIABLE = "DANS_OIDC_SECRET"
"""In which variable the client's secret may stand instead of the file."""

CALLBACK = "oauth2callback"
"""The path below the app's address to which the provider sends people back."""

_TIMEOUT = 10.0
_EVERYONE = "*"


@dataclass(frozen=True)
class SignIn:
    """A provider of OpenID Connect, and whom of those it knows this server lets in.

    Attributes:
        provider: the issuer, an address such as https://id.example.org/realms/school.
        client_id, client_secret: as what the provider knows this server.
        address: where people open the app, with the path below which it is.
        people: who may come in, by e-mail address; "*@example.org" is all of a domain, "*" all whom the provider knows.
        teachers: who of them is a teacher, written alike.
        role_claim: the claim of the provider that says viewer, student or teacher; "" for none.
    """

    provider: str
    client_id: str
    client_secret: str = field(repr=False)
    address: str
    people: tuple[str, ...]
    teachers: tuple[str, ...] = ()
    role_claim: str = ""

    @property
    def metadata_url(self) -> str:
        """Where the provider describes itself."""
        return f"{self.provider}/.well-known/openid-configuration"

    @property
    def callback(self) -> str:
        """The address to which it sends people back, as it has to know it."""
        return f"{self.address}/{CALLBACK}"

    @property
    def path(self) -> str:
        """The path below which the app is, as "/dans"; "" for the root."""
        return urlsplit(self.address).path

    @property
    def host(self) -> str:
        """The name by which people reach the server."""
        return urlsplit(self.address).hostname or ""

    def words(self) -> list[str]:
        """All that decides who comes in as what; whoever came in by other words has to sign in again."""
        return [
            self.provider,
            self.client_id,
            *sorted(self.people),
            "",
            *sorted(self.teachers),
            self.role_claim,
        ]

    def visitor(self, claims: Mapping[str, object], usual_role: Role) -> Visitor:
        """Who someone is of whom the provider says this; InputError for whoever is not among `people`.

        Their id is the same at each sign-in and tells no one their name. An e-mail address counts where the provider
        says that it has verified it.
        """
        issuer, subject = claims.get("iss"), claims.get("sub")
        if not (isinstance(issuer, str) and isinstance(subject, str) and issuer and subject):
            raise InputError("the sign-in service did not say who you are")
        given = claims.get("email")
        email = given.casefold() if isinstance(given, str) and claims.get("email_verified") is True else ""
        if not _is_among(email, self.people):
            if not email:
                raise InputError("the sign-in service has no verified e-mail address of yours to know you by")
            raise InputError(f"this server does not let {printable(email, 80)} in")
        role = self._claimed(claims) or usual_role
        if _is_among(email, self.teachers):
            role = "teacher"
        return Visitor(f"p{hashlib.sha256(f'{issuer} {subject}'.encode()).hexdigest()[:16]}", role)

    def _claimed(self, claims: Mapping[str, object]) -> Role | None:
        """The highest role that the claim names, which may be one word or a list of them."""
        said = claims.get(self.role_claim) if self.role_claim else None
        words = said if isinstance(said, list) else [said]
        return max((role for role in ROLES if role in words), key=ROLES.index, default=None)

    def check(self) -> None:
        """InputError where the provider cannot be reached, is another one, or does not accept client and secret."""
        import requests

        where = _host(self.provider)
        try:
            answer = requests.get(self.metadata_url, timeout=_TIMEOUT)
            found = answer.json() if answer.ok else None
        except requests.exceptions.JSONDecodeError:
            found = None
        except requests.RequestException as error:
            raise InputError(f"{where} cannot be reached for signing in ({_reason(error)})") from None
        ends = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        if not isinstance(found, dict) or not all(_is_safe(found.get(end)) for end in ends):
            raise InputError(
                f"{printable(self.metadata_url, 120)} does not describe a provider of OpenID Connect (status "
                f"{answer.status_code}); provider is to be its issuer"
            )
        if str(found.get("issuer")).rstrip("/") != self.provider:
            raise InputError(
                f"the provider calls itself {printable(str(found.get('issuer')), 120)}; write this as provider"
            )
        try:
            # No code is such; a provider looks at the client first.
            tried = requests.post(
                found["token_endpoint"],
                data={"grant_type": "authorization_code", "code": "none", "redirect_uri": self.callback},
                auth=(self.client_id, self.client_secret),
                timeout=_TIMEOUT,
                allow_redirects=False,
            )
            said = tried.json()
        except requests.exceptions.JSONDecodeError:
            return
        except requests.RequestException as error:
            raise InputError(f"{where} cannot be reached for signing in ({_reason(error)})") from None
        if isinstance(said, dict) and said.get("error") in ("invalid_client", "unauthorized_client"):
            raise InputError(
                f"{where} does not accept client_id {printable(self.client_id, 60)!r} with this client_secret"
            )


def read(path: Path) -> SignIn:
    """The settings in a TOML file, with the secret from there or from the variable, which is then taken away.

    Raises:
        InputError: says what is missing or wrong, and nothing of the secret.
    """
    found = bounded.toml(bounded.text(path), str(path))
    secret = os.environ.pop(SECRET_VARIABLE, "")
    if secret and "client_secret" in found:
        raise InputError(
            f"the client's secret is given twice, in {path} and by {SECRET_VARIABLE}; give it once"
        )
    if secret:
        found["client_secret"] = secret
    known = [each.name for each in fields(SignIn)]
    for name in found:
        if name not in known:
            shown = printable(name, 60)
            raise InputError(
                f"{path}: there is no setting {shown!r}; expected {', '.join(known)}{suggestion(shown, known)}"
            )
    for name in known[:5]:
        if not found.get(name):
            more = f", or the variable {SECRET_VARIABLE}" if name == "client_secret" else ""
            raise InputError(f"{path} lacks {name}, {_MEANING[name]}{more}")
    texts = {name: _text(path, name, found[name]) for name in (*known[:4], "role_claim") if name in found}
    lists = {name: _addresses(path, name, found[name]) for name in ("people", "teachers") if name in found}
    for name in ("provider", "address"):
        text = texts[name].removesuffix("/.well-known/openid-configuration").rstrip("/")
        if not _is_safe(text) or urlsplit(text).query or urlsplit(text).fragment:
            raise InputError(
                f"{path}: {name} is {printable(text, 80)!r}; expected {_MEANING[name]} (http:// on this machine alone)"
            )
        texts[name] = text
    return SignIn(
        provider=texts["provider"],
        client_id=texts["client_id"],
        client_secret=texts["client_secret"],
        address=texts["address"],
        people=lists["people"],
        teachers=lists.get("teachers", ()),
        role_claim=texts.get("role_claim", ""),
    )


_MEANING = {
    "provider": "the address of the provider, such as https://id.example.org/realms/school",
    "client_id": "the name by which the provider knows this server",
    "client_secret": "what the provider gave with it",
    "address": "where people open the app, such as https://lab.example.org/dans",
    "people": 'who may come in: ["*@example.org"], single e-mail addresses, or ["*"] for all whom the provider knows',
}


def _text(path: Path, name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable() or len(value) > 1_000:
        raise InputError(f"{path}: {name} has to be a line of text in quotation marks")
    return value.strip()


def _addresses(path: Path, name: str, value: Any) -> tuple[str, ...]:
    is_list = isinstance(value, list) and all(isinstance(each, str) for each in value)
    found = tuple(each.strip().casefold() for each in value) if is_list else ()
    if not is_list or not all(each == _EVERYONE or each.count("@") == 1 for each in found):
        raise InputError(
            f'{path}: {name} has to be a list of e-mail addresses, such as ["ada@example.org", "*@example.org"]'
        )
    return found


def _is_among(email: str, allowed: tuple[str, ...]) -> bool:
    """Whether a verified e-mail address, "" for none, is one of these."""
    domain = email.rpartition("@")[2]
    return _EVERYONE in allowed or (bool(email) and not {email, f"*@{domain}"}.isdisjoint(allowed))


def _is_safe(url: object) -> bool:
    """Whether no one on the way can read or change what is said at this address."""
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _host(url: str) -> str:
    return printable(urlsplit(url).netloc.rpartition("@")[2], 80)


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted here"
    return "it did not answer in time" if isinstance(error, requests.Timeout) else "no connection"
