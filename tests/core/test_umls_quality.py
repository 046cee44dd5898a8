"""The promised quality on UMLS over five seeds; minutes long, so outside the everyday suite."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

import pytest

from dans_lab.study.folder import Study
from dans_lab.study.tables import table

PROMISED = {"complex": 0.90, "distmult": 0.83, "rotate": 0.80}
"""Mean best valid MRR, of DANS and of uniform negatives alike."""

STUDY = """
title = "Quality"
dataset = "umls"
seeds = 5
[settings]
epochs = 300
[grid]
sampler = ["dans", "uniform"]
decoder = ["distmult", "complex", "rotate"]
"""


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    (runs / "quality.toml").write_text(STUDY)
    words = [sys.executable, "-m", "dans_core", "study", str(runs / "quality.toml")]
    subprocess.run(words, env=os.environ | {"DANS_RUNS_DIR": str(runs)}, check=True)
    study = Study(runs / "studies" / "quality")
    (part,) = study.plan.parts
    found = table(study.plan, part, study.records()).entries
    return {(entry.labels["sampler"], entry.labels["decoder"]): entry for entry in found}


@pytest.mark.slow
@pytest.mark.parametrize("decoder", PROMISED)
@pytest.mark.parametrize("sampler", ["dans", "uniform"])
def test_valid_mrr_and_time(entries, decoder, sampler):
    records = entries[sampler, decoder].records
    assert len(records) == 5
    assert statistics.mean(record.valid["mrr"] for record in records) >= PROMISED[decoder]
    assert max(record.seconds for record in records) < 60
