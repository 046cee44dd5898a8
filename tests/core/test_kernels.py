"""Every fast form against the plain formula beside it, values and gradients."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dans_core.decoders import DECODERS
from dans_core.kernels import blocks, nearest, rows, scores
from dans_core.kernels.chosen import chosen, chosen_plain
from dans_core.kernels.dropout import dropout_factors, dropout_factors_plain
from dans_core.kernels.moduli import all_moduli, all_moduli_plain, moduli, moduli_plain
from dans_core.kernels.rows import sum_over_rows, sum_over_rows_plain
from dans_core.kernels.scores import Scores, shared_scores, shared_scores_plain
from tests.examples import examples

CACHED = st.sampled_from([1, 100, 16 * 8 * 4, 1 << 18])
DECODER = st.sampled_from(sorted(DECODERS)).map(DECODERS.__getitem__)


def vectors(seed: int, *shapes: tuple[int, ...]) -> list[torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=source, dtype=torch.double) for shape in shapes]


def assert_same(
    fast: Callable[..., torch.Tensor], plain: Callable[..., torch.Tensor], *inputs: torch.Tensor
) -> None:
    """Both give the same numbers, and the same gradients of a fixed projection of them."""
    results = []
    for form in (fast, plain):
        asked = [part.clone().requires_grad_() for part in inputs]
        out = form(*asked)
        weights = torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view_as(out)
        results.append((out, *torch.autograd.grad((out * weights).sum(), asked)))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize(("of_q", "of_t"), [((5, 8), (5, 8)), ((5, 1, 8), (5, 3, 8)), ((8,), (2, 3, 8))])
def test_moduli(of_q, of_t):
    assert_same(moduli, moduli_plain, *vectors(0, of_q, of_t))


@examples(40)
@given(st.integers(0, 99), st.integers(1, 40), st.integers(1, 20), CACHED)
def test_all_moduli(seed, queries, entities, cached):
    with mock.patch.object(blocks, "_CACHED", cached):
        assert_same(all_moduli, all_moduli_plain, *vectors(seed, (queries, 8), (entities, 8)))


def test_a_modulus_of_0_has_the_gradient_0():
    """As has the plain one: torch gives |0| the subgradient 0."""
    q, e = vectors(1, (3, 8), (4, 8))
    e[:3] = q
    assert_same(all_moduli, all_moduli_plain, q, e)
    assert_same(moduli, moduli_plain, q, e[:3])


@examples(40)
@given(st.integers(0, 99), DECODER, st.integers(1, 12), st.integers(1, 5), CACHED)
def test_chosen(seed, decoder, pairs, candidates, cached):
    source = torch.Generator().manual_seed(seed)
    places = torch.randint(5, (pairs,), generator=source)
    ids = torch.randint(11, (pairs, candidates), generator=source)
    with mock.patch.object(blocks, "_CACHED", cached):
        assert_same(
            lambda q, e: chosen(decoder.score, q, e, places, ids),
            lambda q, e: chosen_plain(decoder.score, q, e, places, ids),
            *vectors(seed, (5, 8), (11, 8)),
        )


@examples(40)
@given(st.integers(0, 99), DECODER, st.booleans(), st.booleans(), st.integers(1, 5))
def test_scores_by_table_or_by_choice(seed, decoder, table, weighed, candidates):
    source = torch.Generator().manual_seed(seed)
    places = torch.randint(5, (9,), generator=source)
    ids = torch.randint(11, (9, candidates), generator=source)
    weights = torch.rand(ids.shape, generator=source, dtype=torch.double) if weighed else None
    q, e = vectors(seed, (5, 8), (11, 8))
    with mock.patch.object(scores, "_TABLE", 1 << 24 if table else 0):
        assert_same(
            lambda q, e: Scores(decoder, e, q, places, 100).of(ids),
            lambda q, e: chosen_plain(decoder.score, q, e, places, ids),
            q,
            e,
        )
        assert_same(
            lambda q, e: Scores(decoder, e, q, places, 100).sum_of_softplus(ids, weights),
            lambda q, e: Scores(decoder, e, q, places, 100).sum_of_softplus_plain(ids, weights),
            q,
            e,
        )


@examples(40)
@given(st.integers(0, 99), DECODER, st.integers(1, 20), st.integers(1, 7))
def test_shared_scores(seed, decoder, pairs, shared):
    source = torch.Generator().manual_seed(seed)
    places = torch.randint(5, (pairs,), generator=source)
    ids = torch.randint(11, (-(-pairs // shared), 3), generator=source)
    assert_same(
        lambda q, e: shared_scores(decoder, e, q, places, ids, shared),
        lambda q, e: shared_scores_plain(decoder, e, q, places, ids, shared),
        *vectors(seed, (5, 8), (11, 8)),
    )


@examples(40)
@given(st.integers(0, 99), DECODER, st.sampled_from([1, 40, 1 << 22]))
def test_sum_over_rows(seed, decoder, block):
    counts = torch.randint(1, 4, (7,), generator=torch.Generator().manual_seed(seed)).double()
    of_rows = [lambda table: table.logsumexp(1), lambda table: torch.nn.functional.softplus(table).sum(1)]
    for of_row in of_rows:
        with mock.patch.object(rows, "_BLOCK", block):
            assert_same(
                lambda q, e, of_row=of_row: sum_over_rows(decoder.score_all, of_row, counts, q, e),
                lambda q, e, of_row=of_row: sum_over_rows_plain(decoder.score_all, of_row, counts, q, e),
                *vectors(seed, (7, 8), (9, 8)),
            )


@pytest.mark.parametrize("block", [1, 30, 1 << 22])
@pytest.mark.parametrize("shape", [(7, 8), (4, 3, 8)])
def test_nearest(shape, block, monkeypatch):
    monkeypatch.setattr(nearest, "_MAX_COSINES", block)
    given = vectors(3, shape, (11, 8))
    torch.testing.assert_close(nearest.nearest(*given), nearest.nearest_plain(*given))


@examples(40)
@given(st.integers(0, 99), st.integers(1, 9), st.integers(1, 9), st.floats(0, 1, exclude_max=True))
def test_dropout(seed, height, width, rate):
    x = torch.zeros(height, width)
    fast, plain = (
        form(x, rate, torch.Generator().manual_seed(seed))
        for form in (dropout_factors, dropout_factors_plain)
    )
    torch.testing.assert_close(fast, plain)


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_dropout_decides_independently_and_repeats_with_its_seed(rate):
    x = torch.ones(301, 333)
    factors, again = (dropout_factors(x, rate, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(factors, again)
    error = (rate * (1 - rate) / x.numel()) ** 0.5
    assert (factors == 0).double().mean() == pytest.approx(rate, abs=4 * error)
    # Four decisions come from one draw: they must not know of each other.
    zeros = (factors.flatten()[: x.numel() // 4 * 4].view(-1, 4) == 0).double()
    assert (zeros.T.corrcoef() - torch.eye(4)).abs().max() < 0.03


@pytest.mark.parametrize("rate", [1e-6, 0.2, 0.5, 0.9999, 0.999995])
def test_dropout_keeps_the_mean(rate):
    """Also where the rate is nearer to 0 or 1 than the random bits can tell."""
    factors = dropout_factors(torch.zeros(2000, 2000), rate, torch.Generator().manual_seed(0))
    chance = min(round(rate * 2**16), 2**16 - 1) / 2**16
    assert abs(chance - rate) <= 2**-16
    kept = factors[factors > 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - chance)))
    spread = (chance / (1 - chance) / factors.numel()) ** 0.5
    assert abs(factors.double().mean() - 1) <= 5 * spread + 1e-6
