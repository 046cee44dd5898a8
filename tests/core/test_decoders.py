"""Decoders against PyKEEN's interaction functions, and the blocked RotatE against the plain one."""

from __future__ import annotations

import pytest
import torch
from pykeen.nn.modules import ComplExInteraction, DistMultInteraction, RotatEInteraction

from dans_core.decoders import DECODERS, ComplEx, DistMult, RotatE


def as_complex(x: torch.Tensor) -> torch.Tensor:
    return torch.complex(*x.chunk(2, dim=-1))


def random_vectors(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    source = torch.Generator().manual_seed(3)
    return [torch.randn(shape, generator=source, dtype=torch.double) for shape in shapes]


def test_distmult_equals_pykeen():
    h, r, t = random_vectors((7, 6), (7, 6), (7, 6))
    decoder = DistMult()
    torch.testing.assert_close(decoder.score(decoder.query(h, r), t), DistMultInteraction()(h, r, t))


def test_complex_equals_pykeen():
    h, r, t = random_vectors((7, 6), (7, 6), (7, 6))
    decoder = ComplEx()
    expected = ComplExInteraction()(as_complex(h), as_complex(r), as_complex(t))
    torch.testing.assert_close(decoder.score(decoder.query(h, r), t), expected)


def test_rotate_equals_pykeen_with_p_1_plus_gamma():
    h, phase, t = random_vectors((7, 6), (7, 3), (7, 6))
    decoder = RotatE()
    rotation = torch.complex(phase.cos(), phase.sin())
    # PyKEEN 1.11.1 takes p but always uses 2; on one coordinate at a time both are the modulus.
    h1, r1, t1 = (x.unsqueeze(-1) for x in (as_complex(h), rotation, as_complex(t)))
    expected = 12 + RotatEInteraction(p=1)(h1, r1, t1).sum(-1)
    torch.testing.assert_close(decoder.score(decoder.query(h, phase), t), expected)


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("queries", [1, 16, 37])
@pytest.mark.parametrize("cached", [1, 16 * 8 * 4, 1 << 18])
def test_all_pairs_equal_single_scores_in_value_and_gradient(name, queries, cached, monkeypatch):
    monkeypatch.setattr("dans_core.kernels.blocks._CACHED", cached)
    decoder = DECODERS[name]
    q, e, g = random_vectors((queries, 8), (11, 8), (queries, 11))
    results = []
    for scores in (decoder.score_all, lambda q, e: decoder.score(q.unsqueeze(1), e)):
        a, b = q.clone().requires_grad_(), e.clone().requires_grad_()
        table = scores(a, b)
        results.append((table, *torch.autograd.grad((table * g).sum(), [a, b])))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", DECODERS)
def test_relation_tables_fit_the_query(name):
    decoder = DECODERS[name]
    relations = torch.empty(5, decoder.relation_dim(8))
    decoder.init_relations(relations)
    assert decoder.query(torch.randn(5, 8), relations).shape == (5, 8)


def test_only_distmult_cannot_tell_head_from_tail():
    for name, decoder in DECODERS.items():
        h, r, t = random_vectors((4, 8), (4, decoder.relation_dim(8)), (4, 8))
        same = torch.allclose(decoder.score(decoder.query(h, r), t), decoder.score(decoder.query(t, r), h))
        assert same == (name == "distmult")


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("cached", [1, 100, 1 << 18])
def test_chosen_and_own_pairs_equal_single_scores_in_value_and_gradient(name, cached, monkeypatch):
    monkeypatch.setattr("dans_core.kernels.blocks._CACHED", cached)
    decoder = DECODERS[name]
    q, e, g = random_vectors((5, 8), (11, 8), (7, 3))
    source = torch.Generator().manual_seed(0)
    rows, ids = torch.randint(5, (7,), generator=source), torch.randint(11, (7, 3), generator=source)
    results = []
    for scores in (
        lambda q, e: decoder.score_chosen(q, e, rows, ids),
        lambda q, e: decoder.score_own(q[rows], e[ids]),
        lambda q, e: torch.stack(
            [decoder.score(q[row], e[three]) for row, three in zip(rows, ids, strict=True)]
        ),
    ):
        a, b = q.clone().requires_grad_(), e.clone().requires_grad_()
        table = scores(a, b)
        results.append((table, *torch.autograd.grad((table * g).sum(), [a, b])))
    for ours in results[:2]:
        for value, expected in zip(ours, results[2], strict=True):
            torch.testing.assert_close(value, expected)
