"""One list of triplets becomes train, valid and test, the same everywhere."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from itertools import chain

import numpy as np

from dans_data.triplets import Triplet

_ORDER = "dans-split"
"""With the number of a seed, part of the hash that orders the triplets, so that a seed splits the same everywhere."""

_HELD_OUT = 0.1


def split_triplets(triplets: Iterable[Triplet], seed: int = 0) -> dict[str, list[Triplet]]:
    """Split distinct triplets 80 / 10 / 10 such that every entity and relation occurs in train.

    The triplets are put in the order of a hash of their names and of the seed, so the split depends on the set
    of triplets and the seed alone, not on line order, versions or machines. In this order one is held out, for
    test and valid in turn, when its head, relation and tail each remain in train. Where names that occur once
    leave too few to hold out, valid and test are smaller than 10 %; they may be empty.
    """
    ordered = _ordered(set(triplets), seed)
    entities = Counter(chain.from_iterable((head, tail) for head, _, tail in ordered))
    relations = Counter(relation for _, relation, _ in ordered)
    wanted = 2 * round(_HELD_OUT * len(ordered))
    train: list[Triplet] = []
    held_out: list[Triplet] = []
    for place, triplet in enumerate(ordered):
        if len(held_out) == wanted:
            train += ordered[place:]
            break
        head, relation, tail = triplet
        # A loop uses its entity twice.
        loop = head == tail
        if relations[relation] > 1 and entities[head] > 1 + loop and entities[tail] > 1 + loop:
            entities[head] -= 1
            entities[tail] -= 1
            relations[relation] -= 1
            held_out.append(triplet)
        else:
            train.append(triplet)
    return {"train": train, "valid": held_out[1::2], "test": held_out[::2]}


def _ordered(triplets: Iterable[Triplet], seed: int) -> list[Triplet]:
    """In the order of the sha256 of "dans-split-SEED TAB head TAB relation TAB tail"."""
    begun = hashlib.sha256(f"{_ORDER}-{seed}\t".encode())
    rows = list(triplets)
    digests = bytearray()
    for row in rows:
        digest = begun.copy()
        digest.update("\t".join(row).encode())
        digests += digest.digest()
    # As four numbers each, the first counting most.
    numbers = np.frombuffer(digests, dtype=">u8").reshape(-1, 4).astype(np.uint64)
    return [rows[place] for place in np.lexsort(numbers.T[::-1]).tolist()]
