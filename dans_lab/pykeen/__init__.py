"""DANS in PyKEEN's pipeline: its import makes the negative sampler "dans" known there.

>>> import dans_lab.pykeen
>>> pipeline(..., negative_sampler="dans", negative_sampler_kwargs={"run": "first"})  # doctest: +SKIP

It stands beside the method, not in it: PyKEEN is optional, and what a finished run proposes is asked of run folders.
PyKEEN loads this by itself where the program is installed, for its data sets, so nothing of torch is added here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    from pykeen.sampling import negative_sampler_resolver
except ModuleNotFoundError as error:
    if error.name != "pykeen":
        raise
    raise ModuleNotFoundError(
        "dans_lab.pykeen needs PyKEEN, which is not installed; install it by: pip install pykeen",
        name="pykeen",
    ) from None

from dans_lab.pykeen.sampler import DansNegativeSampler

if TYPE_CHECKING:
    from dans_lab.pykeen.game import Game

__all__ = ["DansNegativeSampler", "Game"]

negative_sampler_resolver.register(DansNegativeSampler)


def __getattr__(name: str) -> Any:
    if name != "Game":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dans_lab.pykeen.game import Game

    return Game
