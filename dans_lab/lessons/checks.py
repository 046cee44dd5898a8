"""Checks on measured numbers, as a lesson writes them: `late < 0.1 and early > 2 * late`.

Comparisons, + - * /, and, or, not and abs(…), over numbers and the names of figures; nothing else is understood.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from dans_data.errors import InputError

_LONGEST = 300

_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def names(text: str) -> set[str]:
    """The figures that a check, or a number made of others, speaks of; InputError where it cannot be understood."""
    return {node.id for node in ast.walk(_read(text)) if isinstance(node, ast.Name) and node.id != "abs"}


def value(text: str, figures: Mapping[str, float]) -> float:
    """What it comes to with these figures; InputError for an unknown name, or a division by 0."""
    try:
        return _value(_read(text).body, figures)
    except KeyError as error:
        raise InputError(f"“{text}” names {error.args[0]!r}, which is not measured") from None
    except ZeroDivisionError:
        raise InputError(f"“{text}” divides by 0") from None


def holds(text: str, figures: Mapping[str, float]) -> bool:
    """Whether the check holds for these figures; raises as `value` does."""
    return bool(value(text, figures))


def _read(text: str) -> ast.Expression:
    wrong = f"“{text[:60]}” is not a check; expected one such as “late < 0.1 and early > 2 * late”"
    if len(text) > _LONGEST:
        raise InputError(wrong)
    try:
        read = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise InputError(wrong) from None
    if not _known(read.body):
        raise InputError(wrong)
    return read


def _known(node: ast.AST) -> bool:
    """Whether this and all in it is understood."""
    match node:
        case ast.Constant(value=bool()):
            return False
        case ast.Constant(value=int() | float()) | ast.Name():
            return True
        case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=inner):
            return _known(inner)
        case ast.Call(func=ast.Name(id="abs"), args=[inner], keywords=[]):
            return _known(inner)
        case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
            return _known(node.left) and _known(node.right)
        case ast.BoolOp(values=parts):
            return all(map(_known, parts))
        case ast.Compare(ops=ops) if all(type(op) in _COMPARISONS for op in ops):
            return all(map(_known, (node.left, *node.comparators)))
    return False


def _value(node: ast.AST, figures: Mapping[str, float]) -> Any:
    match node:
        case ast.Constant(value=number):
            return number
        case ast.Name(id=name):
            return figures[name]
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_value(inner, figures)
        case ast.UnaryOp(operand=inner):
            return not _value(inner, figures)
        case ast.Call(args=[inner]):
            return abs(_value(inner, figures))
        case ast.BinOp(left=left, op=op, right=right):
            return _ARITHMETIC[type(op)](_value(left, figures), _value(right, figures))
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(_value(part, figures) for part in parts)
        case ast.BoolOp(values=parts):
            return any(_value(part, figures) for part in parts)
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [_value(each, figures) for each in (left, *others)]
            pairs = zip(ops, sides, sides[1:], strict=False)
            return all(_COMPARISONS[type(op)](one, other) for op, one, other in pairs)
    raise AssertionError(f"{ast.dump(node)} was read and is not known")
