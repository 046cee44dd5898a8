"""Where triplets come from: named data sets, folders and single files, read and checked as names.

A data set is three splits of (head, relation, tail) names.
"""

from __future__ import annotations

from dans_data.files import SUFFIXES, read_triplets
from dans_data.limits import LIMITS_VARIABLE, Limits
from dans_data.places import BUNDLED, DATA_DIR_VARIABLE, DatasetInfo, available
from dans_data.sources import from_uploads, load
from dans_data.splitting import split_triplets
from dans_data.triplets import (
    RECIPROCAL,
    RESERVED_ENDING,
    SPLITS,
    Dataset,
    Triplet,
    facts_hash,
    name_problem,
    printable,
    suggestion,
)

__all__ = [
    "BUNDLED",
    "DATA_DIR_VARIABLE",
    "LIMITS_VARIABLE",
    "RECIPROCAL",
    "RESERVED_ENDING",
    "SPLITS",
    "SUFFIXES",
    "Dataset",
    "DatasetInfo",
    "Limits",
    "Triplet",
    "available",
    "facts_hash",
    "from_uploads",
    "load",
    "name_problem",
    "printable",
    "read_triplets",
    "split_triplets",
    "suggestion",
]
