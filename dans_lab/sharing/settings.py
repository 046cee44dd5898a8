"""How a server is shared: the ways in, whose headers are believed, who may embed it, and its limits.

The command `serve` sets it before the server starts; where it is not set, a person is alone with the app.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from dans_data.errors import InputError
from dans_lab.sharing import tickets
from dans_lab.sharing.codes import Code
from dans_lab.sharing.limits import Allowance
from dans_lab.sharing.roles import Role
from dans_lab.sharing.sign_in import SignIn

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Sharing:
    """Who may come in and how.

    Attributes:
        codes: the access code of each role that has one.
        sign_in: the provider of OpenID Connect at which people sign in, if any.
        proxies: addresses and networks of reverse proxies, whose headers are believed.
        user_header, role_header: in which headers such a proxy says who asks, and as what; "" for none.
        usual_role: the role of whom the proxy or the provider gives no other.
        teachers: who is a teacher, by the names that the proxy says.
        embedders: origins whose pages may show this app in a frame.
        limits: how much visitors may ask for.
        key: what tickets are signed with.
    """

    codes: dict[Role, Code] = field(default_factory=dict)
    sign_in: SignIn | None = None
    proxies: tuple[Network, ...] = ()
    user_header: str = ""
    role_header: str = ""
    usual_role: Role = "student"
    teachers: frozenset[str] = frozenset()
    embedders: tuple[str, ...] = ()
    limits: Allowance = field(default_factory=Allowance)
    key: bytes = field(default_factory=tickets.new_key, repr=False)

    @property
    def has_a_way_in(self) -> bool:
        """Whether it asks anything of those who come."""
        return bool(self.codes or self.user_header or self.sign_in)

    @cached_property
    def ticket_key(self) -> bytes:
        """What tickets are signed with; another once a code is changed, or who may come in."""
        words = sorted(f"{role} {code}" for role, code in self.codes.items())
        signing_in = [*self.sign_in.words(), self.usual_role] if self.sign_in else []
        return tickets.key_for(self.key, words + signing_in)

    @cached_property
    def cookie_secret(self) -> str:
        """What Streamlit signs its cookies with while someone signs in."""
        return tickets.key_for(self.key, ["cookies of Streamlit"]).hex()

    def is_proxy(self, address: str) -> bool:
        """Whether headers from this address are believed."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None)
        return any(
            each in network for network in self.proxies for each in (found, mapped) if each is not None
        )


def network(text: str) -> Network:
    """The network or single address that is written so; InputError for another text."""
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise InputError(
            f"{text[:60]!r} is no address of a proxy; expected one such as 127.0.0.1 or 10.0.0.0/24"
        ) from None


_current: Sharing | None = None


def share(sharing: Sharing | None) -> None:
    """From now on the server of this process is shared so; None: it is a person's own."""
    global _current
    _current = sharing


def current() -> Sharing | None:
    """How the server of this process is shared, None where it is a person's own."""
    return _current
