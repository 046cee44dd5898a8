"""The fast R-GCN layer against PyTorch Geometric's own and the textbook's loop, values and gradients."""

from __future__ import annotations

import gc
import weakref
from dataclasses import fields
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck
from torch_geometric.nn import RGCNConv

from dans_core.kernels import edges as edges_module
from dans_core.kernels import messages
from dans_core.kernels.edges import EdgePlan, MessageGraph, train_graph
from dans_core.kernels.messages import add_messages_plain
from dans_core.rgcn import Encoder, RGCNLayer
from tests.conftest import random_graph
from tests.examples import examples

# The layer's two ways: with tables of edge weights up to this many numbers, or relation by relation.
WAYS = pytest.mark.parametrize("dense", [1 << 30, 0], ids=["tables", "relations"])


def textbook(layer: RGCNConv, x: torch.Tensor, edges: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
    """The layer by the plain formula of its messages."""
    return add_messages_plain(x @ layer.root + layer.bias, x, layer.comp, layer.weight, edges, types)


def on_edges(layer: RGCNLayer, x: torch.Tensor, edges: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
    """The layer on plain edges."""
    return layer.propagate_plan(x, MessageGraph(edges, types, len(x), len(layer.comp)).plan())


def both_layers(dim_in: int, dim_out: int, relations: int, bases: int) -> tuple[RGCNLayer, RGCNConv]:
    fast = RGCNLayer(dim_in, dim_out, relations, bases).double()
    torch.nn.init.normal_(fast.bias)
    slow = RGCNConv(dim_in, dim_out, relations, num_bases=bases).double()
    slow.load_state_dict(fast.state_dict())
    return fast, slow


def with_gradients(forward, layer: RGCNConv, x: torch.Tensor) -> list[torch.Tensor]:
    """Values, and gradients of a fixed projection with respect to the input and every parameter."""
    source = x.clone().requires_grad_()
    out = forward(source)
    weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
    wanted = [source, *layer.parameters()]
    grads = torch.autograd.grad((out * weights).sum(), wanted, allow_unused=True, materialize_grads=True)
    return [out, *grads]


def assert_same(fast: RGCNLayer, slow: RGCNConv, x: torch.Tensor, edges: torch.Tensor, types: torch.Tensor):
    ours = with_gradients(lambda x: on_edges(fast, x, edges, types), fast, x)
    theirs = with_gradients(lambda x: slow(x, edges, types), slow, x)
    torch.testing.assert_close(ours, theirs)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, int, torch.Tensor, torch.Tensor]:
    """Nodes, edge types, edges and their types; parallel edges, loops and isolated nodes included."""
    nodes, relations = draw(st.integers(1, 8)), draw(st.integers(1, 4))
    edge = st.tuples(*(st.integers(0, limit - 1) for limit in (nodes, nodes, relations)))
    rows = torch.tensor(draw(st.lists(edge, max_size=25)), dtype=torch.long).view(-1, 3)
    return nodes, relations, rows[:, :2].T, rows[:, 2]


@WAYS
@examples(40)
@given(graphs(), st.integers(1, 3), st.integers(1, 5))
def test_equals_pyg_and_the_textbook_on_random_graphs(dense, graph, bases, block):
    nodes, relations, edges, types = graph
    x = torch.randn(nodes, 6, dtype=torch.double)
    fast, slow = both_layers(6, 4, relations, bases)
    with mock.patch.object(messages, "_DENSE", dense), mock.patch.object(edges_module, "_BLOCK", block):
        assert_same(fast, slow, x, edges, types)
        ours = with_gradients(lambda x: on_edges(fast, x, edges, types), fast, x)
    torch.testing.assert_close(ours, with_gradients(lambda x: textbook(slow, x, edges, types), slow, x))


@examples(40)
@given(graphs(), st.integers(1, 3))
def test_the_way_of_other_devices_equals_pyg(graph, bases):
    nodes, relations, edges, types = graph
    x = torch.randn(nodes, 6, dtype=torch.double)
    fast, slow = both_layers(6, 4, relations, bases)
    plan = MessageGraph(edges, types, nodes, relations).plan()

    def at_once(x: torch.Tensor) -> torch.Tensor:
        return x @ fast.root + fast.bias + messages._all_at_once(x, fast.comp, fast.weight, plan)

    ours = with_gradients(at_once, fast, x)
    torch.testing.assert_close(ours, with_gradients(lambda x: slow(x, edges, types), slow, x))


@WAYS
def test_equals_pyg_on_umls(umls, monkeypatch, dense):
    monkeypatch.setattr(messages, "_DENSE", dense)
    h, r, t = umls.train.T
    x = torch.randn(135, 10, dtype=torch.double)
    assert_same(*both_layers(10, 10, umls.num_relations, 4), x, torch.stack([h, t]), r)


@examples(10)
@given(graphs(), st.sampled_from([1, 1 << 28]))
def test_the_gradient_of_the_messages_is_their_derivative(graph, most):
    nodes, relations, edges, types = graph
    plan = MessageGraph(edges, types, nodes, relations).plan()
    shapes = (nodes, 2), (nodes, 3), (relations, 3, 2)
    inputs = [torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes]
    with mock.patch.object(messages, "_MOST_SHARES", most):
        assert gradcheck(
            lambda out, x, weight: messages._ByRelation.apply(out.clone(), x, weight, plan), inputs
        )


def test_the_ways_agree_in_single_precision(umls, monkeypatch):
    layer = RGCNLayer(100, 100, 2 * umls.num_relations, 4)
    plan, x, found = train_graph(umls).plan(), torch.randn(umls.num_entities, 100), []
    for dense in (1 << 30, 0):
        monkeypatch.setattr(messages, "_DENSE", dense)
        found.append(with_gradients(lambda x: layer.propagate_plan(x, plan), layer, x))
    for one, other in zip(*found, strict=True):
        assert (one - other).norm() < 1e-5 * one.norm()


def test_it_begins_with_the_numbers_that_pyg_draws():
    torch.manual_seed(3)
    ours, fresh = RGCNLayer(5, 7, 6, 2), torch.get_rng_state()
    torch.manual_seed(3)
    theirs = RGCNConv(5, 7, 6, num_bases=2)
    assert torch.equal(fresh, torch.get_rng_state())
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)


def test_short_integers_are_ids_too():
    fast, slow = both_layers(4, 4, 3, 2)
    edges, types = torch.tensor([[0, 1, 3], [1, 2, 0]]), torch.tensor([0, 2, 1])
    x = torch.randn(4, 4, dtype=torch.double)
    torch.testing.assert_close(on_edges(fast, x, edges.int(), types.to(torch.uint8)), slow(x, edges, types))


@pytest.mark.parametrize(
    ("edge", "kind"), [((4, 0, 0), "nodes"), ((0, -1, 0), "nodes"), ((0, 0, 3), "edge types")]
)
def test_ids_outside_the_graph_are_refused(edge, kind):
    source, destination, relation = (torch.tensor([i]) for i in edge)
    with pytest.raises(IndexError, match=f"{kind} from"):
        MessageGraph(torch.stack([source, destination]), relation, 4, 3)


def columns(plan: EdgePlan) -> list[torch.Tensor]:
    return [getattr(plan, field.name) for field in fields(plan)]


@examples(40)
@given(graphs(), st.integers(0, 1000))
def test_plan_of_kept_edges_equals_a_graph_of_those_alone(graph, seed):
    nodes, relations, edges, types = graph
    keep = torch.rand(len(types), generator=torch.Generator().manual_seed(seed)) < 0.5
    part = MessageGraph(edges, types, nodes, relations).plan(keep)
    alone = MessageGraph(edges[:, keep], types[keep], nodes, relations).plan()
    for ours, theirs in zip(columns(part), columns(alone), strict=True):
        assert torch.equal(ours, theirs)


def test_plan_of_kept_triplets_equals_a_graph_of_those_alone(umls):
    keep = torch.rand(len(umls.train), generator=torch.Generator().manual_seed(1)) < 0.5
    part = MessageGraph.of_triplets(umls.train, umls.num_entities, umls.num_relations).plan_of_triplets(keep)
    alone = MessageGraph.of_triplets(umls.train[keep], umls.num_entities, umls.num_relations).plan()
    for ours, theirs in zip(columns(part), columns(alone), strict=True):
        assert torch.equal(ours, theirs)


def test_a_triplet_carries_messages_both_ways_or_not_at_all():
    triplets = torch.tensor([[0, 0, 1], [1, 1, 2]])
    plan = MessageGraph.of_triplets(triplets, 3, 2).plan_of_triplets(torch.tensor([True, False]))
    slots = zip(plan.source.tolist(), plan.relation.tolist(), plan.destination.tolist(), strict=True)
    assert sorted(slots) == [(0, 0, 1), (1, 2, 0)]


@WAYS
def test_means_are_over_the_kept_edges(monkeypatch, dense):
    monkeypatch.setattr(messages, "_DENSE", dense)
    graph = MessageGraph.of_triplets(torch.tensor([[0, 0, 2], [1, 0, 2]]), 3, 1)
    layer = RGCNLayer(1, 1, 2, 1)
    for parameter in (layer.comp, layer.weight, layer.root):
        torch.nn.init.ones_(parameter)
    x = torch.tensor([[2.0], [4.0], [0.0]])
    assert layer.propagate_plan(x, graph.plan())[2].item() == pytest.approx(3)
    assert layer.propagate_plan(x, graph.plan_of_triplets(torch.tensor([True, False])))[2].item() == 2


def test_blocks_name_every_slot_and_edge_once(umls, monkeypatch):
    monkeypatch.setattr(edges_module, "_BLOCK", 8)
    monkeypatch.setattr(edges_module, "_SMALLEST", 2)
    plan = MessageGraph.of_triplets(umls.train, umls.num_entities, umls.num_relations).plan()
    slots = [s for _, part, _ in plan.blocks for s in range(part.start, part.stop)]
    edges = [e for _, _, part in plan.blocks for e in range(part.start, part.stop)]
    assert slots == list(range(len(plan.relation))) and edges == list(range(len(plan.source)))
    for relation, part, inside in plan.blocks:
        assert part.stop - part.start in (1, 2, 4, 8) and set(plan.relation[part].tolist()) == {relation}
        assert plan.slot_ptr[[part.start, part.stop]].tolist() == [inside.start, inside.stop]


def test_the_train_graph_is_sorted_once_and_goes_with_its_knowledge_graph():
    kg = random_graph(0)
    assert train_graph(kg) is train_graph(kg)
    assert train_graph(kg).plan() is train_graph(kg).plan()
    assert train_graph(random_graph(0)) is not train_graph(kg)
    gone = weakref.ref(kg)
    del kg
    gc.collect()
    assert gone() is None


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
