"""The signed words by which a browser shows again who it is: visitor, role and time, and a signature over them."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from dans_data.errors import InputError
from dans_lab.sharing.roles import Role, Visitor, role_of

SECONDS = 12 * 3600
"""For so long a ticket opens the door: a day at school."""

_FORM = re.compile(r"(p?[0-9a-f]{16})\.(viewer|student|teacher)\.([0-9]{1,12})\.([0-9a-f]{64})", re.ASCII)
_KEY_BYTES = 32


@dataclass(frozen=True)
class Ticket:
    """Who came in, and when, in seconds since 1970."""

    visitor: Visitor
    since: int

    @classmethod
    def new(cls, role: Role, now: float, again: Ticket | None = None) -> Ticket:
        """For someone who came in now by a code; who did so before in this role, with `again`, keeps what is theirs."""
        keeps = again is not None and again.visitor.role == role and not again.is_of_a_person
        known = again.visitor.id if again is not None and keeps else ""
        return cls(Visitor(known or secrets.token_hex(8), role), int(now))

    @property
    def is_of_a_person(self) -> bool:
        """Whether a sign-in service said who it is, and not a code that many know (`SignIn.visitor`)."""
        return self.visitor.id.startswith("p")

    def is_valid(self, now: float) -> bool:
        """Whether it still opens the door."""
        return -60 < now - self.since < SECONDS

    def signed(self, key: bytes) -> str:
        """The words of the ticket with their signature, for a cookie."""
        words = f"{self.visitor.id}.{self.visitor.role}.{self.since}"
        return f"{words}.{_signature(words, key)}"


def read(text: str, key: bytes) -> Ticket | None:
    """The ticket, whether it is valid still or not; None for words that are not signed with this key."""
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    words = text.rpartition(".")[0]
    if not hmac.compare_digest(_signature(words, key), form[4]):
        return None
    return Ticket(Visitor(form[1], role_of(form[2])), int(form[3]))


def _signature(words: str, key: bytes) -> str:
    return hmac.new(key, words.encode(), hashlib.sha256).hexdigest()


def new_key() -> bytes:
    """A key of this process alone: its tickets end with it."""
    return secrets.token_bytes(_KEY_BYTES)


def kept_key(path: Path) -> bytes:
    """The key in a file, which is made where there is none; InputError where that cannot be."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(new_key())
    except FileExistsError:
        pass
    except OSError as error:
        raise InputError(f"the key file {path} cannot be written ({error.strerror})") from None
    try:
        with path.open("rb") as file:
            key = file.read(_KEY_BYTES + 1)
    except OSError as error:
        raise InputError(f"the key file {path} cannot be read ({error.strerror})") from None
    if len(key) != _KEY_BYTES:
        raise InputError(
            f"{path} is no key file of this program, {_KEY_BYTES} bytes; name a file that is not there yet"
        )
    return key


def key_for(key: bytes, words: list[str]) -> bytes:
    """The key of what is signed until one of these words is changed."""
    return hmac.new(key, "\n".join(words).encode(), hashlib.sha256).digest()
