"""How much a person's files may hold before they are refused, and how to allow more."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields

from dans_data.errors import InputError
from dans_data.triplets import printable, suggestion

LIMITS_VARIABLE = "DANS_LIMITS"


@dataclass(frozen=True)
class Limits:
    """The largest data set that is read; each limit holds for all files of a data set together.

    Attributes:
        packed_bytes: of a .gz or .zip file, as it lies there.
        unpacked_bytes: of text.
        triplets: of train, valid and test, repeated ones included.
        entities: distinct names.
        relations: distinct names.
        name_length: characters of one name.
        members: files and folders in a .zip.
        expansion: how many times larger than the packed file the text may be, once it is over 1 MiB.
    """

    packed_bytes: int = 256 * 2**20
    unpacked_bytes: int = 2**30
    triplets: int = 5_000_000
    entities: int = 2_000_000
    relations: int = 50_000
    name_length: int = 1_000
    members: int = 1_000
    expansion: int = 200

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(
                    f"the limit {field.name} is {printable(str(value), 80)}; expected a whole number from 1"
                )

    @classmethod
    def from_environment(cls) -> Limits:
        """The limits, changed by the variable `DANS_LIMITS`, such as "triplets=10000000 entities=4000000".

        Raises:
            InputError: the variable holds something else.
        """
        known = [field.name for field in fields(cls)]
        given: dict[str, int] = {}
        for pair in os.environ.get(LIMITS_VARIABLE, "").split():
            name, _, value = pair.partition("=")
            if name not in known:
                raise InputError(
                    f'{LIMITS_VARIABLE} names the limit "{printable(name, 80)}"; expected {", ".join(known)}'
                    f"{suggestion(name[:80], known)}"
                )
            # Ten digits and more are no limit at all, and int() refuses thousands of them.
            if not (value.isascii() and value.isdigit() and len(value) <= 18 and int(value) > 0):
                raise InputError(
                    f'{LIMITS_VARIABLE} holds "{printable(pair, 80)}"; expected a whole number from 1, '
                    f"such as {name}=1000"
                )
            if name in given:
                raise InputError(f"{LIMITS_VARIABLE} holds {name} twice; give it once")
            given[name] = int(value)
        return cls(**given)

    def to_raise(self, name: str) -> str:
        """How to allow more than a limit, to end a sentence with."""
        return f'or raise the limit by {LIMITS_VARIABLE}="{name}={2 * int(getattr(self, name))}"'
