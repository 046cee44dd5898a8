"""Access codes: made, kept as a hash that is slow to try (scrypt), and compared in constant time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from dans_data.errors import InputError
from dans_lab.sharing.roles import Role

SHORTEST = 8
"""Characters of a code of one's own."""

LONGEST = 200
"""Characters of a code; no more of what is typed is hashed."""

VARIABLES: dict[Role, str] = {
    "viewer": "DANS_VIEWER_CODE",
    "student": "DANS_ACCESS_CODE",
    "teacher": "DANS_TEACHER_CODE",
}
"""In which variable of the environment the code of each role may stand."""

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Of a code that is made: none that is taken for another when it stands on a blackboard."""

_COST, _BLOCK, _LANES = 2**14, 8, 1
_MEMORY = 2**26
_FORM = re.compile(r"scrypt\$([A-Za-z0-9+/]{22}==)\$([A-Za-z0-9+/]{43}=)")


@dataclass(frozen=True)
class Code:
    """The hash of an access code, with its salt; some 20 ms and 16 MiB a try."""

    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, text: str) -> Code:
        """The hash of this code, with a salt of its own."""
        salt = secrets.token_bytes(16)
        return cls(salt, _digest(text, salt))

    def fits(self, text: str) -> bool:
        """Whether this is the code; takes as long for any text."""
        return hmac.compare_digest(_digest(text, self.salt), self.digest)

    def __str__(self) -> str:
        """As it is kept in a file."""
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.digest))
        return f"scrypt${salt}${digest}"


def _digest(text: str, salt: bytes) -> bytes:
    code = unicodedata.normalize("NFC", text[: LONGEST + 1].strip()).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(code, salt=salt, n=_COST, r=_BLOCK, p=_LANES, maxmem=_MEMORY, dklen=32)


def made() -> str:
    """A new code of twelve letters and digits in three groups: 59 bits that no one else has."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(3))


def parse(text: str, where: str) -> Code:
    """The code that a line holds, as `Code` writes it or as people type it; InputError names `where` it stands."""
    line = text.strip()
    if line.startswith("scrypt$"):
        if (found := _FORM.fullmatch(line)) is None:
            raise InputError(
                f"{where} holds a damaged hash of a code; make it anew with the command access-code"
            )
        return Code(base64.b64decode(found[1]), base64.b64decode(found[2]))
    if not SHORTEST <= len(line) <= LONGEST or len(line.splitlines()) > 1:
        raise InputError(f"{where} has to hold one access code, a line of {SHORTEST} to {LONGEST} characters")
    return Code.of(line)


def from_environment() -> dict[Role, Code]:
    """The codes in `VARIABLES`, which are taken out: the processes that we start shall not see them."""
    texts = {role: os.environ.pop(variable, "") for role, variable in VARIABLES.items()}
    return {role: parse(text, f"the variable {VARIABLES[role]}") for role, text in texts.items() if text}


def read(path: Path) -> Code:
    """The code in a file; InputError where there is none."""
    try:
        with path.open("rb") as file:
            data = file.read(4_096)
        text = data.decode()
    except OSError as error:
        raise InputError(f"the file of the access code {path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} has to hold one access code, and is no text") from None
    return parse(text, str(path))


def write(path: Path, code: Code) -> None:
    """Keep a hash in a new file that its owner alone may read; InputError where it is there or cannot be written."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{code}\n")
    except FileExistsError:
        raise InputError(f"{path} is there already; remove it first, or name another file") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror})") from None
