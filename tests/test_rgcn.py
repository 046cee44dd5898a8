"""The fast R-GCN layer against PyTorch Geometric's own, values and gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.nn import RGCNConv

from dans_core.rgcn import Encoder, FastRGCN, MessageGraph


def both_layers(dim_in: int, dim_out: int, relations: int, bases: int) -> tuple[FastRGCN, RGCNConv]:
    fast = FastRGCN(dim_in, dim_out, relations, bases).double()
    slow = RGCNConv(dim_in, dim_out, relations, num_bases=bases).double()
    slow.load_state_dict(fast.state_dict())
    return fast, slow


def assert_same(fast: FastRGCN, slow: RGCNConv, x: torch.Tensor, edges: torch.Tensor, types: torch.Tensor):
    """Values, and gradients of a random projection with respect to the input and every parameter."""
    outputs = []
    for layer in (fast, slow):
        source = x.clone().requires_grad_()
        out = layer(source, edges, types)
        weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
        grads = torch.autograd.grad((out * weights).sum(), [source, *layer.parameters()])
        outputs.append((out, *grads))
    for ours, theirs in zip(*outputs, strict=True):
        torch.testing.assert_close(ours, theirs)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_equals_pyg_on_random_graphs(data):
    nodes = data.draw(st.integers(1, 8))
    relations = data.draw(st.integers(1, 4))
    count = data.draw(st.integers(0, 25))
    ids = st.integers(0, nodes - 1)
    edges = [[data.draw(ids) for _ in range(count)] for _ in range(2)]
    types = [data.draw(st.integers(0, relations - 1)) for _ in range(count)]
    fast, slow = both_layers(6, 4, relations, data.draw(st.integers(1, 3)))
    assert_same(
        fast, slow, torch.randn(nodes, 6, dtype=torch.double),
        torch.tensor(edges, dtype=torch.long), torch.tensor(types, dtype=torch.long),
    )  # fmt: skip


def test_equals_pyg_with_parallel_edges_and_isolated_nodes():
    edges = torch.tensor([[0, 0, 0, 1, 2, 2], [1, 1, 1, 1, 0, 0]])  # node 3 is isolated
    types = torch.tensor([0, 0, 1, 0, 2, 2])
    assert_same(*both_layers(6, 6, 3, 2), torch.randn(4, 6, dtype=torch.double), edges, types)


def test_equals_pyg_on_umls(umls):
    h, r, t = umls.train.T
    edges, types = torch.stack([h, t]), r
    assert_same(
        *both_layers(10, 10, umls.num_relations, 4), torch.randn(135, 10, dtype=torch.double), edges, types
    )


def test_plan_of_kept_triplets_equals_a_graph_of_those_alone(umls):
    keep = torch.rand(len(umls.train), generator=torch.Generator().manual_seed(1)) < 0.5
    part = MessageGraph.of_triplets(umls.train, umls.num_entities, umls.num_relations).plan_of_triplets(keep)
    alone = MessageGraph.of_triplets(umls.train[keep], umls.num_entities, umls.num_relations).plan()
    for ours, theirs in zip(part, alone, strict=True):
        assert torch.equal(ours, theirs)


def test_a_triplet_carries_messages_both_ways_or_not_at_all():
    triplets = torch.tensor([[0, 0, 1], [1, 1, 2]])
    plan = MessageGraph.of_triplets(triplets, 3, 2).plan_of_triplets(torch.tensor([True, False]))
    assert sorted(zip(plan.source.tolist(), plan.relation.tolist(), strict=True)) == [(0, 0), (1, 2)]


def test_norms_come_from_the_kept_edges():
    triplets = torch.tensor([[0, 0, 2], [1, 0, 2]])
    graph = MessageGraph.of_triplets(triplets, 3, 1)
    into_two = slice(*graph.plan().ptr[2:4].tolist())
    assert graph.plan().norm[into_two].tolist() == [0.5, 0.5]
    kept = graph.plan_of_triplets(torch.tensor([True, False]))
    assert kept.norm.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_dropout_only_with_a_generator_and_only_between_layers(umls, rate):
    encoder = Encoder(8, 2 * umls.num_relations, layers=2, bases=2, dropout=rate)
    plan = MessageGraph.of_triplets(umls.train, umls.num_entities, umls.num_relations).plan()
    x = torch.randn(umls.num_entities, 8)
    assert torch.equal(encoder(x, plan), encoder(x, plan))
    dropped = encoder(x, plan, torch.Generator().manual_seed(0))
    assert torch.equal(dropped, encoder(x, plan)) == (rate == 0.0)
    single = Encoder(8, 2 * umls.num_relations, layers=1, bases=2, dropout=rate)
    assert torch.equal(single(x, plan), single(x, plan, torch.Generator().manual_seed(0)))
