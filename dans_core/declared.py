"""What every sampler declares, by its name, read without importing the samplers."""

from __future__ import annotations

import ast
import importlib
import os
from pathlib import Path
from typing import Any

from dans_core.declaration import Cost, Declaration
from dans_data.errors import InputError

MODULES = "DANS_SAMPLERS"
"""Modules that register samplers, with commas between, for this process and all that it starts."""

_BUILT_IN = (
    "dans:Dans",
    "uniform:Uniform",
    "baselines.popularity:Popularity",
    "baselines.bernoulli:Bernoulli",
    "baselines.self_adversarial:SelfAdversarial",
    "baselines.nscaching:NSCaching",
    "baselines.kbgan:Kbgan",
    "baselines.mcns:Mcns",
    "baselines.sans:Sans",
    "baselines.cake_style:CakeStyle",
    "baselines.smile_style:SmileStyle",
    "baselines.one_vs_all:OneVsAll",
)
"""File and class of each sampler that comes with the program, in the order in which they are listed everywhere."""


DECLARED: dict[str, Declaration] = {}
"""What each sampler says of itself, in the order of all lists; `samplers.catalogue.register` adds to it."""

HOMES: dict[str, str] = {}
"""Module and class of each sampler that comes with the program."""


def _declared_in(module: str) -> Declaration:
    """What the file of a sampler declares: its statement `DECLARATION` and the functions that this names, alone."""
    file = Path(__file__).with_name("samplers").joinpath(*module.split(".")).with_suffix(".py")
    statements = ast.parse(file.read_text(encoding="utf-8")).body
    functions = {each.name: each for each in statements if isinstance(each, ast.FunctionDef)}
    (statement,) = (
        each
        for each in statements
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "DECLARATION"
    )
    named = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)} & functions.keys()
    needed = ast.Module([*(functions[name] for name in sorted(named)), statement], type_ignores=[])
    found: dict[str, Any] = {"Cost": Cost, "Declaration": Declaration}
    exec(compile(needed, file, "exec"), found)
    return found["DECLARATION"]


for _home in _BUILT_IN:
    _declaration = _declared_in(_home.partition(":")[0])
    DECLARED[_declaration.name] = _declaration
    HOMES[_declaration.name] = f"dans_core.samplers.{_home}"


def import_registered() -> None:
    """Import the modules that `DANS_SAMPLERS` names, which register their samplers.

    Raises InputError where one cannot be imported.
    """
    for module in registering():
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise InputError(f"{MODULES} names {module!r}, which cannot be imported: {error}") from None


def registering() -> list[str]:
    """The modules that `DANS_SAMPLERS` names."""
    return [name for each in os.environ.get(MODULES, "").split(",") if (name := each.strip())]
