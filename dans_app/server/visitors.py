"""Who is at the browser for which a screen is drawn, and so what may be done at their click."""

from __future__ import annotations

import streamlit as st

from dans_app.server import access
from dans_lab.runs.run import Run
from dans_lab.sharing.roles import HOST, NOBODY, Role, Visitor
from dans_lab.sharing.settings import current


def visitor() -> Visitor:
    """Who asks; whoever is alone on their own machine is a teacher, who cannot be told on a shared server a viewer."""
    if current() is None:
        return HOST
    headers = st.context.headers
    role, name = (headers.get(header.decode()) for header in (access.ROLE_HEADER, access.VISITOR_HEADER))
    return access.heard(role, name) or NOBODY


def owner() -> str:
    """Whose the visitor's runs are, as their meta says: a student's; those of teachers are all teachers', as ""."""
    who = visitor()
    return "" if who.is_at_least("teacher") else who.id


def need(role: Role, what: str) -> None:
    """InputError that begins with `what`, such as "deleting a data set", where the visitor's role is not enough."""
    visitor().need(role, what)


def need_own(run: Run, what: str) -> None:
    """InputError that begins with `what` where the run is another's."""
    visitor().need_own(run.meta.owner, what)
