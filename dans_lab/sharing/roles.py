"""What a visitor of a shared server may do: look, train within limits, or everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from dans_data.errors import InputError

Role = Literal["viewer", "student", "teacher"]
ROLES: tuple[Role, ...] = get_args(Role)
"""From the one who may do least to the one who may do everything."""

MAY = {
    "viewer": "look at everything that is here",
    "student": "look at everything, add data, and train within the limits of this server",
    "teacher": "do everything: train without limits, run studies, and delete what is anyone’s",
}
"""What each may do, in words."""


@dataclass(frozen=True)
class Visitor:
    """Someone at a browser. `id` tells one from another and is kept with what they start; "" where nobody is known."""

    id: str
    role: Role

    def is_at_least(self, role: Role) -> bool:
        """Whether all that this role may do is allowed."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def owns(self, owner: str) -> bool:
        """Whether what has this owner may be stopped, renamed and deleted."""
        mine = bool(owner) and owner == self.id and self.is_at_least("student")
        return mine or self.is_at_least("teacher")

    def need(self, role: Role, what: str) -> None:
        """InputError that begins with `what`, such as "deleting a data set", where the role is not enough."""
        if not self.is_at_least(role):
            who = {"student": "students and teachers", "teacher": "teachers"}[role]
            raise InputError(f"{what} is for {who}; you are here as a {self.role}")

    def need_own(self, owner: str, what: str) -> None:
        """InputError that begins with `what`, such as "stopping run x", where it is not theirs, nor they a teacher."""
        self.need("student", what)
        if not self.owns(owner):
            raise InputError(
                f"{what} is for the one who started it, and for teachers; you are here as a student"
            )


HOST = Visitor("", "teacher")
"""Who is alone on their own machine."""

NOBODY = Visitor("", "viewer")
"""Who cannot be told, on a shared server."""


def role_of(text: str) -> Role:
    """The role that is called so; InputError for another word."""
    for role in ROLES:
        if text == role:
            return role
    raise InputError(f"{text[:40]!r} is no role; expected viewer, student or teacher")
