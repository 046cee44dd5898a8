"""The layer as PyTorch Geometric's kind: its own way and the fast one agree, and it leaves nothing behind."""

from __future__ import annotations

import tempfile

import torch
from torch_geometric.nn import RGCNConv

from dans_core.kernels.edges import MessageGraph
from dans_core.rgcn import RGCNLayer
from dans_lab.pyg import FastRGCN


def test_it_is_pygs_layer_with_another_way_beside_it(umls):
    h, r, t = umls.train.T
    edges, relations = torch.stack([h, t]), umls.num_relations
    x = torch.randn(umls.num_entities, 6, dtype=torch.double)
    layer = FastRGCN(6, 4, relations, 2).double()
    encoders = RGCNLayer(6, 4, relations, 2).double()
    encoders.load_state_dict(layer.state_dict())
    plan = MessageGraph(edges, r, umls.num_entities, relations).plan()
    assert isinstance(layer, RGCNConv)
    torch.testing.assert_close(layer.propagate_plan(x, plan), layer(x, edges, r))
    assert torch.equal(layer.propagate_plan(x, plan), encoders.propagate_plan(x, plan))


def test_a_layer_leaves_no_file_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    class Another(FastRGCN):
        """Its name is new to PyG, which would write a module for it."""

    Another(4, 4, 2, 2)
    assert list(tmp_path.iterdir()) == []
