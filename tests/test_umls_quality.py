"""The promised quality on UMLS over five seeds; minutes long, so outside the everyday suite."""

from __future__ import annotations

import statistics

import pytest

from benchmarks.umls import DECODERS, SAMPLERS, run_all

PROMISED = {"complex": 0.90, "distmult": 0.83, "rotate": 0.80}


@pytest.fixture(scope="module")
def records():
    return run_all(seeds=5, epochs=300, processes=2)


@pytest.mark.slow
@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_valid_mrr_and_time(records, decoder, sampler):
    rows = [r for r in records if (r["decoder"], r["sampler"]) == (decoder, sampler)]
    assert len(rows) == 5
    assert statistics.mean(r["valid_mrr"] for r in rows) >= PROMISED[decoder]
    assert max(r["seconds"] for r in rows) < 60
