"""Products through oneDNN against torch's own: values, gradients, and the layouts that must not be slow."""

from __future__ import annotations

import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from dans_core.products import linear


@settings(max_examples=40, deadline=None)
@given(st.integers(800, 900), st.integers(50, 60), st.integers(50, 60), st.booleans(), st.booleans())
def test_linear_equals_torchs(rows, inputs, outputs, has_bias, strided):
    source = torch.Generator().manual_seed(rows)
    wide = torch.randn(rows, 2 * inputs, generator=source)
    x = wide[:, inputs:] if strided else wide[:, inputs:].contiguous()
    weight = torch.randn(outputs, inputs, generator=source)
    bias = torch.randn(outputs, generator=source) if has_bias else None
    weights = torch.randn(rows, outputs, generator=source)
    results = []
    for product in (linear, F.linear):
        given_ = [
            t.detach().clone().requires_grad_() if t is not x else x for t in (weight, bias) if t is not None
        ]
        asked = x.detach().requires_grad_()
        out = product(asked, *given_)
        results.append((out, *torch.autograd.grad((out * weights).sum(), [asked, *given_])))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(6,), (3, 6), (2, 80_000, 6), (0, 6)])
def test_linear_takes_any_leading_shape(shape):
    x, weight, bias = torch.randn(shape), torch.randn(4, 6), torch.randn(4)
    with torch.no_grad():
        torch.testing.assert_close(linear(x, weight, bias), F.linear(x, weight, bias))
    assert linear(x, weight.requires_grad_(), bias).shape == (*shape[:-1], 4)


def test_rows_of_a_wider_matrix_are_not_slow():
    """oneDNN falls back to a plain loop for them, a thousand times slower, so they are copied first."""
    grad, wide = torch.randn(1000, 100), torch.randn(1000, 400)

    def seconds(x: torch.Tensor) -> float:
        weight = torch.randn(100, 100, requires_grad=True)
        taken = []
        for _ in range(5):
            started = time.perf_counter()
            torch.autograd.grad(linear(x, weight), weight, grad)
            taken.append(time.perf_counter() - started)
        return min(taken)

    assert seconds(wide[:, 100:200]) < 20 * seconds(wide[:, 100:200].contiguous())
