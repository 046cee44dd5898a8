"""Products through oneDNN against torch's own: values, gradients, and the layouts that must not be slow."""

from __future__ import annotations

import time

import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from torch.nn import functional as F

from dans_core.kernels import products
from dans_core.kernels.products import linear, linear_plain
from tests.examples import examples


@pytest.fixture(autouse=True)
def any_size(monkeypatch):
    monkeypatch.setattr(products, "_MIN_WORK", 1)


def layouts(rows: int, columns: int, source: torch.Generator) -> dict[str, torch.Tensor]:
    """Matrices of one shape that lie in memory in different ways."""
    return {
        "rows": torch.randn(rows, columns, generator=source),
        "columns": torch.randn(columns, rows, generator=source).T,
        "part": torch.randn(rows, 2 * columns, generator=source)[:, columns:],
        "every other": torch.randn(2 * rows, columns, generator=source)[::2],
        "one row": torch.randn(1, columns, generator=source).expand(rows, columns),
    }


KINDS = st.sampled_from(["rows", "columns", "part", "every other", "one row"])


@examples(60, HealthCheck.function_scoped_fixture)
@given(
    st.integers(0, 40),
    st.integers(1, 30),
    st.integers(1, 30),
    KINDS,
    KINDS,
    KINDS,
    st.sampled_from([None, *"abc"]),
)
def test_linear_equals_the_plain_product(rows, inputs, outputs, of_x, of_weight, of_grad, of_bias):
    source = torch.Generator().manual_seed(rows)
    x, weight = layouts(rows, inputs, source)[of_x], layouts(outputs, inputs, source)[of_weight]
    biases = {
        "a": torch.randn(outputs, generator=source),
        "b": torch.randn(2 * outputs, generator=source)[::2],
        "c": torch.randn(1, generator=source).expand(outputs),
    }
    grad = layouts(rows, outputs, source)[of_grad]
    given_ = [x, weight] if of_bias is None else [x, weight, biases[of_bias]]
    results = []
    for product in (linear, linear_plain):
        asked = [part.detach().requires_grad_() for part in given_]
        out = product(*asked)
        results.append((out, *torch.autograd.grad(out, asked, grad)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_second_derivatives_are_the_plain_ones():
    x, weight, bias = (torch.randn(shape) for shape in ((9, 6), (4, 6), (4,)))
    results = []
    for product in (linear, linear_plain):
        asked = [part.clone().requires_grad_() for part in (x, weight, bias)]
        first = torch.autograd.grad(product(*asked).pow(3).sum(), asked, create_graph=True)
        results.append(torch.autograd.grad(sum(part.square().sum() for part in first), asked))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("other", [torch.double, torch.bfloat16])
def test_other_precisions_are_left_to_torch(other):
    x, weight = torch.randn(9, 6, dtype=other), torch.randn(4, 6, dtype=other)
    assert torch.equal(linear(x, weight), F.linear(x, weight))


def test_without_onednn_torch_does_it(monkeypatch):
    monkeypatch.setattr(products, "_HAS_ONEDNN", False)
    x, weight = torch.randn(9, 6), torch.randn(4, 6, requires_grad=True)
    assert torch.equal(linear(x, weight), F.linear(x, weight))


@pytest.mark.parametrize("shape", [(6,), (3, 6), (2, 8, 6), (0, 6)])
def test_linear_takes_any_leading_shape(shape):
    x, weight, bias = torch.randn(shape), torch.randn(4, 6), torch.randn(4)
    with torch.no_grad():
        torch.testing.assert_close(linear(x, weight, bias), linear_plain(x, weight, bias))
    assert linear(x, weight.requires_grad_(), bias).shape == (*shape[:-1], 4)


def test_rows_of_a_wider_matrix_are_not_slow():
    """oneDNN falls back to a plain loop for them, a thousand times slower, so they are copied first."""
    grad, wide = torch.randn(1000, 100), torch.randn(1000, 400)

    def seconds(x: torch.Tensor) -> float:
        weight = torch.randn(100, 100, requires_grad=True)
        taken = []
        for _ in range(5):
            started = time.process_time()
            torch.autograd.grad(linear(x, weight), weight, grad)
            taken.append(time.process_time() - started)
        return min(taken)

    assert seconds(wide[:, 100:200]) < 20 * seconds(wide[:, 100:200].contiguous())
