"""The edges that carry messages: sorted once, and from that the plan of any part of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from dans_core.device import CPU
from dans_core.kg import KnowledgeGraph

# Slots per block at most: their sums, 100 floats each, fit in a second-level cache.
_BLOCK = 2048
# Blocks are not halved further: `products.linear` leaves smaller ones to torch.
_SMALLEST = 256


@dataclass(frozen=True)
class EdgePlan:
    """Edges in the orders in which an R-GCN layer reads them; N nodes, E edges, S slots.

    A slot is one edge type into one destination, N_r(i) in the paper: its edges are averaged. Slots are
    sorted by type, then by destination. Where 32 bits are enough for the numbers, all of them have 32.

    source       (E,)     where each edge comes from, slot by slot
    slot_ptr     (S + 1,) edges slot_ptr[s] … slot_ptr[s + 1] belong to slot s
    relation     (S,)     the edge type of each slot
    destination  (S,)     the node it arrives at
    slot         (E,)     the slot of each edge, source by source: the way back, for gradients
    source_ptr   (N + 1,) entries source_ptr[j] … source_ptr[j + 1] of `slot` leave node j
    """

    source: Tensor
    slot_ptr: Tensor
    relation: Tensor
    destination: Tensor
    slot: Tensor
    source_ptr: Tensor

    @property
    def num_nodes(self) -> int:
        """N."""
        return len(self.source_ptr) - 1

    @cached_property
    def blocks(self) -> list[tuple[int, slice, slice]]:
        """An edge type, some of its slots and their edges, until all were named: a cacheful at a time.

        Sizes are _BLOCK and its halves, then a rest: oneDNN prepares anew for every size of a product.
        """
        types, counts = torch.unique_consecutive(self.relation, return_counts=True)
        found, cuts = [], [0]
        for relation, count in zip(types.tolist(), counts.tolist(), strict=True):
            end, size = cuts[-1] + count, _BLOCK
            while cuts[-1] < end:
                while size > end - cuts[-1] and size > _SMALLEST:
                    size //= 2
                cuts.append(min(cuts[-1] + size, end))
                found.append(relation)
        edges = self.slot_ptr[cuts].tolist()
        slices = ([slice(*pair) for pair in pairwise(bounds)] for bounds in (cuts, edges))
        return list(zip(found, *slices, strict=True))

    @cached_property
    def slot_of_edge(self) -> Tensor:
        """The slot of every edge of `source`, ascending, (E,)."""
        return torch.arange(len(self.relation), device=self.source.device).repeat_interleave(
            self.slot_ptr.diff()
        )

    @cached_property
    def cells(self) -> tuple[Tensor, Tensor]:
        """Of every edge its slot, and its place in a flat (N, N) table of destinations and sources; (E,)."""
        slot = self.slot_of_edge
        return slot, self.destination.index_select(0, slot) * self.num_nodes + self.source


class MessageGraph:
    """A graph's edges, sorted once, from which the plan of any subset follows without sorting again."""

    def __init__(self, edge_index: Tensor, edge_type: Tensor, num_nodes: int, num_relations: int) -> None:
        """Sort the edges.

        Args:
            edge_index: integers, shape (2, E): sources and destinations, in [0, num_nodes).
            edge_type: integers, shape (E,), in [0, num_relations).

        Raises:
            IndexError: if a node or an edge type is outside its range.
        """
        for ids, limit, what in ((edge_index, num_nodes, "nodes"), (edge_type, num_relations, "edge types")):
            if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < limit:
                raise IndexError(f"{what} from {ids.min()} to {ids.max()}, expected 0 … {limit - 1}")
        source, destination = edge_index.long()
        key = edge_type.long() * num_nodes + destination
        self.num_nodes = num_nodes
        kind = torch.int32 if max(len(key), num_nodes) < 1 << 31 else torch.int64
        key, order = torch.sort(key, stable=True)
        self._order, self._source = order.to(kind), source[order].to(kind)
        slots, slot = torch.unique_consecutive(key, return_inverse=True)
        self._relation, self._destination = (slots // num_nodes).to(kind), (slots % num_nodes).to(kind)
        self._slot = slot.to(kind)
        # On a large graph each of these is hundreds of megabytes.
        del key, order, slots, slot
        back = torch.argsort(self._source, stable=True)
        self._back_order = self._order[back]
        self._back_source, self._back_slot = self._source[back], self._slot[back]

    @classmethod
    def of_triplets(cls, triplets: Tensor, num_entities: int, num_relations: int) -> MessageGraph:
        """Both directions of every triplet, 2 · num_relations edge types.

        Edge e < n is triplet e from head to tail; edge n + e is triplet e from tail to head.
        """
        heads, relations, tails = triplets.T
        edges = torch.stack([torch.cat([heads, tails]), torch.cat([tails, heads])])
        return cls(edges, torch.cat([relations, relations + num_relations]), num_entities, 2 * num_relations)

    @cached_property
    def _whole(self) -> EdgePlan:
        return self.plan(torch.ones(len(self._order), dtype=torch.bool, device=self._order.device))

    def plan(self, keep: Tensor | None = None) -> EdgePlan:
        """The plan of all edges, or of those with `keep` (bool, (E,), in the order they were given)."""
        if keep is None:
            return self._whole
        # A mask of sorted edges leaves them sorted. `index_select` gathers three times as fast as brackets.
        kept = keep.index_select(0, self._order).nonzero().squeeze(1)
        sizes = torch.bincount(self._slot.index_select(0, kept), minlength=len(self._relation))
        used = sizes.nonzero().squeeze(1)
        number = (sizes > 0).cumsum(0, dtype=self._slot.dtype) - 1
        back = keep.index_select(0, self._back_order).nonzero().squeeze(1)
        leaving = torch.bincount(self._back_source.index_select(0, back), minlength=self.num_nodes)
        return EdgePlan(
            source=self._source.index_select(0, kept),
            slot_ptr=_pointers(sizes.index_select(0, used), self._slot.dtype),
            relation=self._relation.index_select(0, used),
            destination=self._destination.index_select(0, used),
            slot=number.index_select(0, self._back_slot.index_select(0, back)),
            source_ptr=_pointers(leaving, self._slot.dtype),
        )

    def plan_of_triplets(self, keep: Tensor) -> EdgePlan:
        """The plan of the triplets with `keep` (bool, (n,)), both directions, for `of_triplets` graphs."""
        return self.plan(torch.cat([keep, keep]))


_train_graphs: WeakKeyDictionary[KnowledgeGraph, dict[torch.device, MessageGraph]] = WeakKeyDictionary()


def train_graph(kg: KnowledgeGraph, device: torch.device = CPU) -> MessageGraph:
    """The graph that carries messages: both directions of every train triplet.

    It is made once a device for every knowledge graph, which never changes, and kept as long as that lives.
    """
    made = _train_graphs.setdefault(kg, {})
    if device not in made:
        made[device] = MessageGraph.of_triplets(kg.train.to(device), kg.num_entities, kg.num_relations)
    return made[device]


def forget(kg: KnowledgeGraph) -> None:
    """Let go of what `train_graph` made, for a graph whose messages go another way."""
    _train_graphs.pop(kg, None)


def _pointers(counts: Tensor, kind: torch.dtype) -> Tensor:
    """Where each of consecutive runs begins, and the end: (n,) → (n + 1,)."""
    out = counts.new_zeros(len(counts) + 1, dtype=kind)
    out[1:] = counts.cumsum(0, dtype=kind)
    return out
