"""Turtle, TriG, N3 and RDF/XML become rows of three names, read by rdflib where that is installed.

Names are as in `ntriples`: the IRI, and "_:" with a number for a blank node, in their order. Literals are left out.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterable
from typing import Any

from dans_data.errors import InputError
from dans_data.forms import Row, Rows
from dans_data.triplets import name_problem, printable

FORMS = {"turtle": "Turtle", "trig": "TriG", "n3": "N3", "xml": "RDF/XML"}
"""The forms that rdflib reads here, by its names for them and in words."""

_BASE = "relative:/"
"""What relative IRIs are read against, and lose again: else it would be the working folder."""

_MOST = 100 * 2**20
"""Characters of text: it is held in memory as a whole, and takes many times as much there."""


def rows(lines: Iterable[str], form: str, where: str, note: Callable[[str], None]) -> Rows:
    """Rows of RDF in one of `FORMS`, numbered from 1 in the order of the file.

    Raises:
        InputError: rdflib is not installed, the text is too large or not of this form, or an IRI is no name.
    """
    if importlib.util.find_spec("rdflib") is None:
        raise InputError(
            f"{where}: {FORMS[form]} needs rdflib, which is not installed; install it by: pip install rdflib, "
            "or convert the file to N-Triples (.nt)"
        )
    literals, number = 0, 0
    blank: dict[Any, str] = {}
    from rdflib import BNode, Literal

    def name_of(term: Any) -> str:
        if isinstance(term, BNode):
            return blank.setdefault(term, f"_:b{len(blank)}")
        name = str(term).removeprefix(_BASE)
        if problem := name_problem(name) or ("looks like a blank node" if name.startswith("_:") else None):
            raise InputError(f'{where}: the IRI "{printable(name, 40)}" {problem}')
        return name

    for subject, predicate, value in _triples(_text(lines, where), form, where):
        if isinstance(value, Literal):
            literals += 1
            continue
        number += 1
        row: Row = name_of(subject), name_of(predicate), name_of(value)
        yield number, row
    if literals:
        note(f"triplets left out, since their tail is a literal and no entity: {literals:,}")
    if blank:
        note("blank nodes are entities, numbered in their order")


def _text(lines: Iterable[str], where: str) -> str:
    found, size = [], 0
    for line in lines:
        found.append(line)
        if (size := size + len(line)) > _MOST:
            raise InputError(
                f"{where}: there are more than {_MOST:,} characters of RDF, which is read as a whole; convert it to "
                "N-Triples (.nt), which is read line by line"
            )
    return "\n".join(found)


def _triples(text: str, form: str, where: str) -> list[tuple[Any, Any, Any]]:
    """The triples of a text in its order, those of all its graphs."""
    from rdflib import Dataset, Graph
    from rdflib.store import Store

    found: list[tuple[Any, Any, Any]] = []

    class InOrder(Store):
        """Keeps what a parser finds in its order, which rdflib's own stores lose."""

        context_aware = graph_aware = formula_aware = True

        def add(self, triple: tuple[Any, Any, Any], context: Any, quoted: bool = False) -> None:
            if not quoted:
                found.append(triple)

        def add_graph(self, graph: Any) -> None:
            pass

    # It logs what it thinks of an IRI.
    log = logging.getLogger("rdflib")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        parsed = Dataset(store=InOrder()) if form == "trig" else Graph(store=InOrder())
        parsed.parse(data=text, format=form, publicID=_BASE)
    # Parsers of rdflib and of XML fail in many ways.
    except Exception as error:
        raise InputError(f"{where}{_line(error)}: not {FORMS[form]} ({_reason(error)})") from None
    finally:
        log.setLevel(before)
    return found


def _line(error: Exception) -> str:
    if (at := getattr(error, "lines", None)) is not None and isinstance(at, int):
        return f", line {at + 1}"
    line = getattr(error, "getLineNumber", lambda: None)()
    return f", line {line}" if line else ""


def _reason(error: Exception) -> str:
    if isinstance(error, IndexError):
        return "it ends in the middle of a triplet"
    said = getattr(error, "getMessage", None)
    words = getattr(error, "_why", None) or (said() if said else str(error))
    return printable(" ".join(str(words).split()), 120) or type(error).__name__
