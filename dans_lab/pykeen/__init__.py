"""DANS in PyKEEN's pipeline: its import makes the negative sampler and the training loop "dans" known there.

>>> import dans_lab.pykeen
>>> pipeline(..., negative_sampler="dans", negative_sampler_kwargs={"run": "first"})  # doctest: +SKIP
>>> pipeline(..., training_loop="dans", negative_sampler_kwargs={"run": "first"})  # doctest: +SKIP

It stands beside the method, not in it: PyKEEN is optional, and what a finished run proposes is asked of run folders.
"""

from __future__ import annotations

try:
    from pykeen.sampling import negative_sampler_resolver
    from pykeen.training import training_loop_resolver
except ModuleNotFoundError as error:
    if error.name != "pykeen":
        raise
    raise ModuleNotFoundError(
        "dans_lab.pykeen needs PyKEEN, which is not installed; install it by: pip install pykeen",
        name="pykeen",
    ) from None

from dans_lab.pykeen.game import Game
from dans_lab.pykeen.loop import DansTrainingLoop
from dans_lab.pykeen.sampler import DansNegativeSampler

__all__ = ["DansNegativeSampler", "DansTrainingLoop", "Game"]

negative_sampler_resolver.register(DansNegativeSampler)
training_loop_resolver.register(DansTrainingLoop)
