"""Lines of `dans_core` by the name of what they define, read from the files and not imported."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import dans_core

_ROOT = Path(dans_core.__file__).parent


@dataclass(frozen=True)
class Code:
    """Some lines of a file: `file` as from the root of the repository, `first` and `last` are counted from 1."""

    file: str
    name: str
    first: int
    last: int
    text: str


@cache
def code(home: str) -> Code:
    """What "gan:Pathway.forward" names: a function, class or method of `dans_core/gan.py`.

    Raises KeyError where the file defines nothing of this name.
    """
    module, _, name = home.partition(":")
    path = _ROOT.joinpath(*module.split(".")).with_suffix(".py")
    source = path.read_text(encoding="utf-8")
    node = _find(ast.parse(source), name)
    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    last = node.end_lineno or first
    lines = source.splitlines()[first - 1 : last]
    indent = len(lines[0]) - len(lines[0].lstrip())
    text = "\n".join(line[indent:] for line in lines)
    return Code(f"dans_core/{path.relative_to(_ROOT).as_posix()}", name, first, last, text)


def _find(tree: ast.Module, name: str) -> ast.FunctionDef | ast.ClassDef:
    found: ast.Module | ast.FunctionDef | ast.ClassDef = tree
    for part in name.split("."):
        found = {each.name: each for each in found.body if isinstance(each, (ast.FunctionDef, ast.ClassDef))}[
            part
        ]
    assert not isinstance(found, ast.Module), "a name has a part at least"
    return found
