"""A device that is not the CPU, for machines without a GPU: it computes there, and is as strict about it as CUDA.

Tensors of `DEVICE` know that they are elsewhere, so torch makes every tensor, gradient and optimizer state as it would
for a GPU. An operation runs on the CPU's numbers behind them, unless a GPU would refuse it (`Refused`): tensors of both
devices in one operation, a generator of the CPU, numpy on its tensors, an operation that CUDA does not have. Stricter
than CUDA is that no index may be on the CPU either, and that nothing may be drawn there at all.

Registering a device holds for the process, and must come before its first gradient: so tests on it have one of their
own (`on_elsewhere.py`).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
import torchgen
import yaml
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

_setup_privateuseone_for_python_backend("elsewhere")
# A module that moves makes new parameters; their numbers cannot be put in place of those on the CPU.
torch.__future__.set_overwrite_module_params_on_conversion(True)

DEVICE = torch.device("elsewhere", 0)

_COPIES = {"_to_copy", "copy_", "_copy_from", "_copy_from_and_resize"}


class Refused(AssertionError):
    """What a GPU would not have done."""


class Elsewhere(Tensor):
    """A tensor of `DEVICE`; its numbers are in `here`, a tensor of the CPU."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> Elsewhere:
        made = Tensor._make_wrapper_subclass(
            cls,
            here.size(),
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=DEVICE,
        )
        made.here = here
        return made

    def __init__(self, here: Tensor) -> None:
        pass

    def __repr__(self) -> str:
        return f"Elsewhere({self.here})"

    def tolist(self) -> Any:
        """As for any tensor; torch has it for its own kinds alone."""
        return self.here.tolist()

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return _compute(operation, args, kwargs or {})


def _compute(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    name = operation._schema.name.removeprefix("aten::")
    given = tree_flatten((args, kwargs))[0]
    there = [one for one in given if isinstance(one, Elsewhere)]
    here = [one for one in given if isinstance(one, Tensor) and not isinstance(one, Elsewhere)]
    if name not in _COPIES:
        # A number of Python's is a tensor without dimensions to operations on elements.
        numbers = torch.Tag.pointwise in operation.tags
        if there and any(one.dim() or not numbers for one in here):
            raise Refused(f"{operation} got tensors of the CPU beside those elsewhere")
        if any(isinstance(one, torch.Generator) for one in given):
            raise Refused(f"{operation} got a generator of the CPU")
        if torch.Tag.nondeterministic_seeded in operation.tags:
            raise Refused(f"{operation} draws random numbers elsewhere")
        if not _on_cuda(str(operation._schema.name), operation._overloadname):
            raise Refused(f"{operation} does not exist for CUDA")
    asked = kwargs.get("device")
    wrapped = {id(one.here): one for one in there}

    def inside(one: Any) -> Any:
        if isinstance(one, Elsewhere):
            return one.here
        return torch.device("cpu") if isinstance(one, torch.device) else one

    def outside(one: Any) -> Any:
        if not isinstance(one, Tensor):
            return one
        return wrapped[id(one)] if id(one) in wrapped else Elsewhere(one)

    if name in ("copy_", "_copy_from") and not isinstance(args[0 if name == "copy_" else 1], Elsewhere):
        operation(*tree_map(inside, args), **tree_map(inside, kwargs))
        return args[0 if name == "copy_" else 1]
    out = operation(*tree_map(inside, args), **tree_map(inside, kwargs))
    if asked is not None and torch.device(asked).type == "cpu":
        return out
    return tree_map(outside, out)


@cache
def _native() -> dict[str, dict[str, Any]]:
    """What torch says of its own operations, by name and overload."""
    path = Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml"
    listed = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return {one["func"].split("(")[0]: one for one in listed}


@cache
def _on_cuda(name: str, overload: str) -> bool:
    """Whether an operation can run on CUDA, by itself or through others."""
    space, _, name = name.partition("::")
    known = _native().get(name if overload in ("", "default") else f"{name}.{overload}")
    if space != "aten" or known is None:
        return False
    known = _native()[known["structured_delegate"]] if "structured_delegate" in known else known
    kernels = {key.strip() for keys in known.get("dispatch", {}) for key in keys.split(",")}
    # Without a kernel of the CPU's own it is made of others, or for both from one formula.
    return "CUDA" in kernels or "CPU" not in kernels


def _kernel(operation: Any) -> Any:
    return lambda *args, **kwargs: _compute(operation, args, kwargs)


_all = torch.library.Library("_", "IMPL")
_all.fallback(lambda operation, *args, **kwargs: _compute(operation, args, kwargs), "PrivateUse1")
# By torch's own ways these would write into a tensor without elements, and then let it grow.
_some = torch.library.Library("aten", "IMPL")
for _name in ("arange", "arange.start", "arange.start_step", "linspace"):
    _packet, _, _overload = _name.partition(".")
    _some.impl(
        _name, _kernel(getattr(getattr(torch.ops.aten, _packet), _overload or "default")), "PrivateUse1"
    )
