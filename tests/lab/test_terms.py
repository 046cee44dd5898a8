"""The terms of a score against the formulas of the papers, one coordinate after the other."""

from __future__ import annotations

import cmath
import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dans_core.decoders import DECODERS
from dans_lab.terms import FORMULAS, formula_of


def test_every_decoder_has_its_formula():
    assert FORMULAS.keys() == DECODERS.keys()


def one_by_one(name: str, h: list[float], r: list[float], t: list[float]) -> list[float]:
    """The terms as the papers write them, one coordinate after the other."""
    if name == "distmult":
        return [h[i] * r[i] * t[i] for i in range(len(h))]
    half = len(h) // 2
    head, tail = ([complex(x[k], x[k + half]) for k in range(half)] for x in (h, t))
    if name == "complex":
        relation = [complex(r[k], r[k + half]) for k in range(half)]
        return [(head[k] * relation[k] * tail[k].conjugate()).real for k in range(half)]
    return [-abs(head[k] * cmath.exp(1j * r[k]) - tail[k]) for k in range(half)]


@given(name=st.sampled_from(sorted(DECODERS)), seed=st.integers(0, 2**31), half=st.integers(1, 40))
def test_the_terms_of_a_score_add_up_to_it(name, seed, half):
    decoder, formula = DECODERS[name], FORMULAS[name]
    source = torch.Generator().manual_seed(seed)
    h, t = torch.randn(2, 2 * half, generator=source, dtype=torch.double)
    r = 3 * torch.randn(decoder.relation_dim(2 * half), generator=source, dtype=torch.double)
    terms = formula.terms(h, r, t)
    torch.testing.assert_close(terms.tolist(), one_by_one(name, h.tolist(), r.tolist(), t.tolist()))
    torch.testing.assert_close(formula.offset + terms.sum(), decoder.score(decoder.query(h, r), t))
    parts = formula.coordinates(h, r, t)
    assert [part.shape for part in parts] == [terms.shape] * 3
    assert all(part.is_complex() == (name != "distmult") for part in parts)


@pytest.mark.parametrize("name", DECODERS)
def test_terms_broadcast(name):
    decoder, formula = DECODERS[name], formula_of(copy.deepcopy(DECODERS[name]))
    source = torch.Generator().manual_seed(3)
    h, r, t = (
        torch.randn(shape, generator=source, dtype=torch.double)
        for shape in ((8,), (decoder.relation_dim(8),), (5, 3, 8))
    )
    terms = formula.terms(h, r, t)
    torch.testing.assert_close(terms[4, 2], formula.terms(h, r, t[4, 2]))
    torch.testing.assert_close(formula.offset + terms.sum(-1), decoder.score(decoder.query(h, r), t))
