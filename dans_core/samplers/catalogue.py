"""The class of every sampler by its name in the settings, and how another one is made known."""

from __future__ import annotations

import importlib
import os
import re

from dans_core.config import OF_SAMPLERS, Config
from dans_core.declared import DECLARED, HOMES, MODULES, registering
from dans_core.samplers.contract import Sampler

REGISTERED: dict[str, type[Sampler]] = {}
"""Classes that were made known by `register`."""


def class_of(name: str) -> type[Sampler]:
    """The class of a sampler, whose file is imported when it is first asked for."""
    if name in REGISTERED:
        return REGISTERED[name]
    module, _, kind = HOMES[name].partition(":")
    return getattr(importlib.import_module(module), kind)


def register(kind: type[Sampler]) -> type[Sampler]:
    """Make a sampler known by its declaration: to settings, screens, studies and estimates.

    Above the class, as a decorator, it reaches the processes that this one starts, too: they import the class's module.
    A class of the program that is run, `__main__`, is known to this process alone.

    Raises:
        ValueError: for a name that is taken, or no part of a run's name, for a setting that samplers do not read, and
            for a default of a setting that does not exist.
    """
    declared = kind.declaration
    if declared.name in DECLARED:
        raise ValueError(f"there is a sampler {declared.name!r} already")
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", declared.name):
        raise ValueError(f"a sampler's name has a-z, 0-9 and hyphens, not {declared.name!r}")
    if unknown := sorted(set(declared.settings) - OF_SAMPLERS):
        raise ValueError(f"{declared.name} declares {', '.join(unknown)}, which is no setting of samplers")
    if unknown := sorted(set(declared.defaults) - set(Config.model_fields)):
        raise ValueError(f"{declared.name} has a default for {', '.join(unknown)}, which is no setting")
    DECLARED[declared.name], REGISTERED[declared.name] = declared, kind
    if kind.__module__ != "__main__":
        os.environ[MODULES] = ",".join(dict.fromkeys([*registering(), kind.__module__]))
    return kind
