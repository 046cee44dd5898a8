"""Dense products through oneDNN, where torch has it: on some processors faster than by torch, on others the same."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# With fewer multiplications the call costs more than the product saves.
_MIN_WORK = 256 * 100 * 100

_HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x Wᵀ + b for x (…, in), weight (out, in) and bias (out,), as `torch.nn.functional.linear`.

    The values are those of float32 products; only their rounding may differ from that of torch's BLAS.
    """
    fits = x.dtype == weight.dtype == torch.float32 and x.device.type == "cpu"
    if not (_HAS_ONEDNN and fits and x.numel() * len(weight) >= _MIN_WORK):
        return F.linear(x, weight, bias)
    if x.dim() != 2:
        return linear(x.reshape(-1, x.shape[-1]), weight, bias).view(*x.shape[:-1], len(weight))
    if torch.is_grad_enabled():
        # `apply` of a torch Function has no types.
        out: Tensor = _Linear.apply(x, weight, bias)  # type: ignore[no-untyped-call] # torch: untyped
        return out
    return _product(x, weight, bias)


def linear_plain(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The same by torch's own product."""
    out = x @ weight.T
    return out if bias is None else out + bias


class Linear(nn.Linear):
    """`torch.nn.Linear` by `linear`; the same parameters."""

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) → (…, out)."""
        return linear(x, self.weight, self.bias)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (grad,) = grads
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        return (
            linear(grad, weight.T) if for_x else None,
            linear(grad.T, x.T) if for_weight else None,
            grad.sum(0) if for_bias else None,
        )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    # Rows taken from a wider matrix fall through to a loop that is a thousand times slower.
    x, weight = (part if _is_dense(part) else part.contiguous() for part in (x, weight))
    bias = None if bias is None else bias.contiguous()
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


def _is_dense(matrix: Tensor) -> bool:
    return matrix.is_contiguous() or matrix.T.is_contiguous()
