"""N-Triples and N-Quads become rows of three names, by the grammars of the W3C (RDF 1.1 N-Triples, section 7).

The name of an IRI is the IRI without its brackets, that of a blank node its label with "_:". Triplets whose tail
is a literal, a text or number, are left out: it is a value of the head, and no entity.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from dans_data.faults import OnFault
from dans_data.forms import Row, Rows
from dans_data.triplets import name_problem, printable, problem_within

_ESCAPE = r"\\(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})"
_IRI = rf'<[^\x00-\x20<>"{{}}|^`\\]*(?:{_ESCAPE}[^\x00-\x20<>"{{}}|^`\\]*)*>'
_LITERAL = (
    r'"[^"\\\n\r]*(?:\\(?:[tbnrf"\'\\]|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})[^"\\\n\r]*)*"'
    rf"(?:\^\^{_IRI}|@[A-Za-z]+(?:-[A-Za-z0-9]+)*)?"
)
_FIRST = (
    "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c-\u200d\u2070-\u218f"
    "\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff_:0-9"
)
_LATER = f"{_FIRST}\\-\u00b7\u0300-\u036f\u203f-\u2040"
_BLANK_NODE = rf"_:[{_FIRST}](?:[{_LATER}.]*[{_LATER}])?"

_TRIPLE = re.compile(
    rf"[ \t]*({_IRI}|{_BLANK_NODE})[ \t]*({_IRI})[ \t]*(?:({_IRI}|{_BLANK_NODE})|{_LITERAL})[ \t]*"
    rf"({_IRI}|{_BLANK_NODE})?[ \t]*\.[ \t]*(?:#.*)?",
    re.DOTALL,
)
_NOTHING = re.compile(r"[ \t]*(?:#.*)?", re.DOTALL)

# In their order, for complaints.
_TERMS = (
    (
        re.compile(rf"[ \t]*(?:{_IRI}|{_BLANK_NODE})"),
        "the subject is neither an IRI in <…> nor a blank node _:…",
    ),
    (re.compile(rf"[ \t]*{_IRI}"), "the predicate is not an IRI in <…>"),
    (
        re.compile(rf"[ \t]*(?:{_IRI}|{_BLANK_NODE}|{_LITERAL})"),
        'the object is neither an IRI in <…>, a blank node _:… nor a literal in "…"',
    ),
    (re.compile(r"[ \t]*\."), "no full stop ends the triplet"),
)


def rows(lines: Iterable[str], note: Callable[[str], None], fault: OnFault) -> Rows:
    """Rows of N-Triples; comments and blank lines are passed over, and `fault` is told each line that is no row."""
    names = _Names()
    literals = 0
    graphs: set[str | None] = {None}
    for number, line in enumerate(lines, start=1):
        if found := _TRIPLE.fullmatch(line):
            head, relation, tail, graph = found.groups()
            graphs.add(graph)
            if tail is None:
                literals += 1
                continue
            try:
                row: Row = names[head], names[relation], names[tail]
            except _UnfitError as error:
                fault(number, str(error))
            else:
                yield number, row
        elif not _NOTHING.fullmatch(line):
            fault(number, f"{_problem(line)}; expected a triplet as N-Triples, such as <a> <r> <b> .")
    if literals:
        note(f"triplets left out, since their tail is a literal and no entity: {literals:,}")
    if len(graphs) > 1:
        note(f"graphs of N-Quads taken together: {len(graphs) - 1:,}")
    if any(term.startswith("_:") for term in names):
        note("blank nodes are entities, named by their labels")


class _UnfitError(Exception):
    """Why an IRI names nothing, in words."""


class _Names(dict[str, str]):
    """Maps an IRI or blank node as it is written to its name."""

    def __missing__(self, term: str) -> str:
        name = term
        if term.startswith("<"):
            name = _UNICODE.sub(_character, term[1:-1])
            if name.startswith("_:"):
                raise _UnfitError(
                    f'the IRI "{printable(name, 40)}" looks like a blank node; expected another'
                )
            if problem := name_problem(name):
                raise _UnfitError(f'the IRI "{printable(name, 40)}" {problem}')
        self[term] = name
        return name


_UNICODE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))")


def _character(escape: re.Match[str]) -> str:
    code = int(escape[1] or escape[2], 16)
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:
        raise _UnfitError(f"the escape {escape[0]} is no character; expected one of Unicode")
    return chr(code)


def _problem(line: str) -> str:
    place = 0
    for pattern, problem in _TERMS:
        found = pattern.match(line, place)
        if not found:
            return problem
        place = found.end()
    rest = line[place:]
    return problem_within(rest) or f'"{printable(rest.strip(), 40)}" stands after the full stop'
