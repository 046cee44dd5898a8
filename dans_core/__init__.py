"""DANS: diversified and adaptive negative sampling on knowledge graphs.

>>> from dans_core import Config, KnowledgeGraph, Trainer, evaluate
>>> kg = KnowledgeGraph.load("umls")
>>> trainer = Trainer(kg, Config(decoder="complex", sampler="dans", epochs=20, seed=0))
>>> for event in trainer: print(event)           # doctest: +SKIP
>>> evaluate(trainer.model, kg, split="test").mrr  # doctest: +SKIP

Names are loaded when first used, so that settings and data can be read without waiting for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dans_core.config import Config
    from dans_core.kg import KnowledgeGraph
    from dans_core.ranking import evaluate, popularity_floor
    from dans_core.training import Diverged, Trainer
    from dans_data.errors import InputError

__version__ = "0.1.0"

__all__ = ["Config", "Diverged", "InputError", "KnowledgeGraph", "Trainer", "evaluate", "popularity_floor"]

_HOMES = {
    "Config": "dans_core.config",
    "Diverged": "dans_core.training",
    "InputError": "dans_data.errors",
    "KnowledgeGraph": "dans_core.kg",
    "Trainer": "dans_core.training",
    "evaluate": "dans_core.ranking",
    "popularity_floor": "dans_core.ranking",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
