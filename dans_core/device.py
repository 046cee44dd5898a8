"""Where a run is trained: the choice of a device, its name, and how numbers go there and come back.

A device holds the model, the batch and the tables of samplers. Random numbers are drawn on the CPU, by the generators
of the run, and then moved, so that a seed draws the same ones everywhere. Sums are rounded in another order on a GPU,
and there from run to run, so losses agree to some digits only; NSCaching, KBGAN and MCNS, which choose by scores, may
then choose otherwise. The price of the draws is a core's time and the way there. *Measured*: 5 ns and 8 bytes for each
entity drawn, 3 ns and 4 bytes for each number of noise, at most N_s // 2 · dim for each query of DANS in a base step.
"""

from __future__ import annotations

import copy
import os
import re
from typing import Any

import torch
from torch import Tensor

from dans_data.errors import InputError

DEVICE_VARIABLE = "DANS_DEVICE"
"""What "auto" means where this is set in the environment."""

CPU = torch.device("cpu")


def choose(asked: str | torch.device = "auto") -> torch.device:
    """The device for "auto", "cpu", "cuda" (the first GPU) or "cuda:1" (the second); a torch device is taken as it is.

    "auto" is what `DANS_DEVICE` says, else the first CUDA GPU where there is one, else the CPU. It does not look at the
    graph: with few entities a step is many small operations (UMLS: an epoch of 10 ms on a CPU, 40 ms with the GAN), in
    which a GPU spends its time on being asked, so there "cpu" may well be quicker. From where on a GPU pays was not
    measured.

    Raises:
        InputError: for another word, and for a GPU that is not there.
    """
    if isinstance(asked, torch.device):
        return asked
    name = "device"
    if asked == "auto":
        asked = os.environ.get(DEVICE_VARIABLE) or "auto"
        name = DEVICE_VARIABLE
    if asked == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else CPU
    if asked == "cpu":
        return CPU
    form = re.fullmatch(r"cuda(?::([0-9]{1,3}))?", asked)
    if form is None:
        raise InputError(f"{name} = {asked!r}: must be auto, cpu, cuda, or one of several GPUs, as cuda:1")
    if not torch.cuda.is_available():
        built = torch.version.cuda is not None
        why = "torch finds no GPU that it can use" if built else "this torch was built without CUDA"
        raise InputError(f"{name} = {asked!r}: {why}; leave it out, or say cpu")
    number, found = int(form[1] or 0), torch.cuda.device_count()
    if number >= found:
        raise InputError(f"{name} = {asked!r}: there is no such GPU; the last GPU is cuda:{found - 1}")
    return torch.device("cuda", number)


def name_of(device: torch.device) -> str:
    """A device in words, such as "cpu" or "cuda:0 (NVIDIA H200)"."""
    if device.type != "cuda":
        return str(device)
    return f"{device} ({torch.cuda.get_device_name(device)})"


def on_cpu(state: Any) -> Any:
    """Nested dicts, lists and tuples with all their tensors on the CPU; those that are there already are not copied."""
    if isinstance(state, Tensor):
        return state.cpu()
    if isinstance(state, dict):
        # A module's state dict has attributes of its own.
        moved = copy.copy(state)
        for key, value in state.items():
            moved[key] = on_cpu(value)
        return moved
    if isinstance(state, (list, tuple)):
        return type(state)(map(on_cpu, state))
    return state
