"""The benchmarks: their report, their fits, and each command for real on a tiny scale."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from benchmarks import __main__ as command_line
from benchmarks import estimates, graphs, layer, pipeline, quality, ranks, report, scaling, shards, timing
from benchmarks.report import ORDER, Section
from dans_core import InputError
from dans_lab.runs import machine
from tests.small_run import trained

# PyKEEN, beside which they measure, takes long to import.
pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """One call a turn, and the environment as it was."""
    monkeypatch.setattr(timing, "_TURN", 0.0)
    for library in ("OMP", "MKL", "OPENBLAS"):
        monkeypatch.setenv(f"{library}_NUM_THREADS", "1")


def section(name: str = "layer") -> Section:
    return Section(name, "A title", "A note.", ["x", "y"], [["1", "a | b"], ["2", ""]], [{"x": 1}])


def test_a_section_is_a_title_an_environment_a_note_and_a_table():
    lines = report.render(section()).splitlines()
    assert lines[0] == "## A title"
    assert re.match(
        r"\d{4}-\d\d-\d\d, .+, Python \d.+, torch \d.+, torch-geometric .+, pykeen .+\.$", lines[2]
    )
    assert lines[4:] == ["A note.", "", "| x | y |", "|---|---|", "| 1 | a \\| b |", "| 2 |  |"]


def test_processors_of_one_name_are_told_apart(tmp_path):
    told = re.search(r", (.+) \((.+)\), Python", report.environment(["torch"]))
    assert told[1] == machine.processor()
    parts = told[2].split(", ")
    assert parts[0] == torch.backends.cpu.get_cpu_capability()
    assert parts[1:-1] == report.caches() and re.fullmatch(r"\d+ GFLOP/s", parts[-1])
    for index, (level, size) in enumerate((("1", "32K"), ("3", "8M"), ("2", "512K"))):
        folder = tmp_path / "cache" / f"index{index}"
        folder.mkdir(parents=True)
        (folder / "level").write_text(f"{level}\n")
        (folder / "size").write_text(f"{size}\n")
    assert report.caches(tmp_path) == ["L2 512K", "L3 8M"]
    assert report.caches(tmp_path / "nowhere") == []


def test_the_yardstick_leaves_the_threads_as_they_were():
    before = torch.get_num_threads()
    assert report.product_speed() > 0 and torch.get_num_threads() == before


bodies = st.text(st.characters(exclude_categories=["Cs"]), max_size=30).map(lambda text: f"## {text}\n")


def parts(text: str) -> dict[str, str]:
    """What stands before the first section under "", and each section's body."""
    sections = text.partition("\n<!-- not measured on a GPU -->\n")[0]
    before, *rest = re.split(r"\n<!-- python -m benchmarks ([\w-]+) -->\n", sections)
    return {"": before, **dict(zip(rest[::2], rest[1::2], strict=True))}


@given(st.lists(st.tuples(st.sampled_from(ORDER), bodies), min_size=1, max_size=12))
def test_placing_a_section_leaves_every_other_byte_and_keeps_the_order(writes):
    text, expected = "", {}
    for name, body in writes:
        text = report.placed(text, name, body)
        expected[name] = body
        found = parts(text)
        assert found.pop("") == report.placed("", name, body).split("\n<!--")[0]
        assert found == expected
        assert list(found) == [name for name in ORDER if name in expected]


def test_a_file_with_other_text_and_line_ends_keeps_them(tmp_path):
    file = tmp_path / "RESULTS.md"
    before = b"# My own words\r\n\r\nkept\n"
    after = b"\n<!-- python -m benchmarks ranking -->\nold\r\n"
    file.write_bytes(before + after)
    report.write(section("epoch"), file)
    report.write(section("epoch"), file)
    text = file.read_bytes()
    assert text.startswith(before) and text.partition(b"\n<!-- not measured")[0].endswith(after)
    assert text.count(b"## A title") == 1


def test_what_was_measured_on_a_gpu_stands_behind_the_same_of_the_cpu_and_the_rest_is_named(tmp_path):
    file = tmp_path / "RESULTS.md"
    for name, on in (("epoch", "cpu"), ("layer", "cuda:0 (A)"), ("layer", "cpu"), ("layer", "cuda:1 (B)")):
        report.write(replace(section(name), on=on), file)
    text = file.read_text()
    assert re.findall(r"<!-- (.+) -->|## (.+)", text) == [
        ("python -m benchmarks layer", ""), ("", "A title"),
        ("python -m benchmarks layer --device cuda", ""), ("", "A title, on cuda:1 (B)"),
        ("python -m benchmarks epoch", ""), ("", "A title"),
        ("not measured on a GPU", ""), ("", "On a GPU"),
    ]  # fmt: skip
    assert "Measured there: layer. Not measured there: epoch, quality, ranking, scaling." in text
    assert text.endswith("The other sections are of the processor alone.\n")


def test_the_committed_report_says_what_was_not_measured_on_a_gpu():
    text = (Path(report.__file__).parent / "RESULTS.md").read_text()
    assert report.missing(text) == text


def test_exponents_and_fits_are_exact_on_exact_data():
    sizes = [50, 100, 200, 400]
    assert scaling.exponent(sizes, [3e-4 * s**1.5 for s in sizes]) == pytest.approx(1.5)
    edges, entities = [5e4, 1e5, 2e5, 1e5, 1e5], [4e4, 4e4, 4e4, 2e4, 8e4]
    seconds = [0.5 + 2e-5 * e + 7e-6 * n for e, n in zip(edges, entities, strict=True)]
    fit, residuals = scaling.least_squares([edges, entities], seconds)
    assert fit == pytest.approx((0.5, 2e-5, 7e-6))
    assert residuals == pytest.approx([0] * 5, abs=1e-9)
    squares = scaling.least_squares(
        [sizes, [s**2 for s in sizes]], [1 + 0.1 * s + 0.01 * s**2 for s in sizes]
    )
    assert squares[0] == pytest.approx((1, 0.1, 0.01))


def test_random_graphs_have_the_size_asked_for():
    kg = scaling.random_graph(entities=30, edges=500)
    assert (kg.num_entities, len(kg.train)) == (30, 500)


def test_cases_take_turns_after_a_warm_up():
    calls = []
    seen = []
    cases = {name: lambda name=name: calls.append(name) or name for name in "ab"}
    seconds = timing.alternate(cases, 3, lambda: calls.append("|"), seen.append)
    assert "".join(calls) == "ab|ab|ab|ab|"
    assert seen == [{"a": "a", "b": "b"}]
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3}


def test_a_short_case_is_called_again_in_its_turn(monkeypatch):
    monkeypatch.setattr(timing, "_TURN", 0.3)
    seconds = timing.alternate({"short": lambda: time.sleep(0.002)}, 1)["short"]
    assert len(seconds) > 1
    assert sum(seconds) >= 0.3


def test_peak_memory_counts_what_was_held_and_let_go():
    held = torch.ones(1 << 24)
    size = held.nbytes
    del held
    assert timing.peak_memory() > size


def test_a_missing_graph_is_a_sentence_and_a_wrong_name_an_error(monkeypatch):
    monkeypatch.delenv("DANS_DATA_DIR", raising=False)
    found, missing = graphs.load([])
    assert list(found) == ["umls"]
    assert missing[0] == "WN18RR not found: set DANS_DATA_DIR to the folder with wn18rr/"
    with pytest.raises(InputError, match="there is no data set"):
        graphs.load(["wn18"])


def test_layers_that_differ_are_not_compared():
    with pytest.raises(AssertionError, match="RGCNConv"):
        layer._must_agree({"ours": (torch.ones(3),), "RGCNConv": (torch.ones(3) * 1.01,)})


def test_a_peer_that_needs_too_much_memory_is_not_run(monkeypatch):
    monkeypatch.setattr(graphs, "MOST_MEMORY", 10**7)
    found = layer.measure(["nations"], 1)
    assert [row[-1].startswith("not run: needs") for row in found.rows] == [True] * 3
    assert not any("FastRGCNConv" in record["seconds"] for record in found.records)


def test_a_mark_that_few_seeds_reach_has_no_median():
    runs = [
        {
            "sampler": "dans",
            "reached": {"0.88": {"seconds": 4.0 + seed, "epoch": 100 + seed}} if seed < 2 else {},
        }
        for seed in range(5)
    ]
    assert quality._row(runs, "dans", 0.88, 12.0) == [
        "–", "≥ 1x", "DANS", "0.88", "not reached", "4 s … 5 s", "–", "2 of 5",
    ]  # fmt: skip
    assert quality._row(runs[:3], "dans", 0.88, 12.0)[0] == "2.4x"


def run(tmp_path, *arguments: str) -> tuple[str, list]:
    """A command's section of the file it writes, and its raw figures."""
    out, raw = tmp_path / "RESULTS.md", tmp_path / "raw.json"
    result = CliRunner().invoke(command_line.app, [*arguments, "--out", str(out), "--json", str(raw)])
    assert result.exit_code == 0, result.output
    body = parts(out.read_text())[arguments[0]]
    assert body in result.output
    return body, json.loads(raw.read_text())


def test_layer(tmp_path):
    body, records = run(tmp_path, "layer", "--dataset", "nations", "--repeats", "1")
    assert [record["pass"] for record in records] == [layer.FORWARD, layer.BOTH, layer.HALF]
    assert all(len(record["seconds"]) == 4 for record in records)
    assert body.count("| nations |") == 3


def test_epoch(tmp_path):
    body, records = run(tmp_path, "epoch", "--dataset", "nations", "--decoder", "complex", "--repeats", "1")
    assert [record["sampler"] for record in records] == ["dans", "uniform"]
    assert all(record["positives"] == 2 * 1592 for record in records)
    assert body.count("| nations | ComplEx |") == 2
    assert "nations 7 and 1." in body


def test_a_device_that_is_not_there_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks", "layer", "--device", "cuda:9"])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    assert stopped.value.code == 2 and "device = 'cuda:9': " in capsys.readouterr().err


def test_ours_alone_need_no_peer(tmp_path):
    alone = ["--dataset", "nations", "--repeats", "1", "--alone"]
    _, (record,) = run(tmp_path, "ranking", *alone)
    assert list(record["seconds"]) == list(record["metrics"]) == ["ours"]


@pytest.mark.slow
def test_epoch_on_a_large_graph_says_the_memory_of_a_fresh_process(tmp_path, monkeypatch):
    monkeypatch.setattr(graphs, "_SMALL", 100)
    _, records = run(tmp_path, "epoch", "--dataset", "nations", "--repeats", "1")
    assert all(2e8 < record["peak_bytes"] < 4e9 for record in records)


def test_every_decoder_has_a_peer(nations):
    from benchmarks.peers import PykeenRun
    from dans_core import Config

    for decoder in report.DECODERS:
        PykeenRun(nations, Config(decoder=decoder, dim=8), 2000).epoch()


def test_ranking(tmp_path):
    _, (record,) = run(tmp_path, "ranking", "--dataset", "nations", "--repeats", "1")
    assert record["metrics"]["ours"] == pytest.approx(record["metrics"]["pykeen"], abs=1e-6)


def test_quality(tmp_path, monkeypatch):
    monkeypatch.setattr(quality, "_GRAPH", "nations")
    monkeypatch.setattr(quality, "_PEER_EPOCHS", 1)
    monkeypatch.setattr(quality, "MARKS", (0.1, 1.0))
    body, records = run(tmp_path, "quality", "--seeds", "1", "--epochs", "4")
    assert [list(r["reached"]) for r in records[:2]] == [["0.1"], ["0.1"]]
    assert body.count("not reached") == 2
    (mrr,) = records[2]["valid_mrr"]
    assert 0 < mrr < 1
    assert f"{mrr:.3f} in the median" in body


def test_pykeen(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "_GRAPH", "nations")
    monkeypatch.setattr(pipeline, "_RUN", str(trained(tmp_path, "of-nations", reading="entities").path))
    kept = tmp_path / "kept.jsonl"
    asked = (
        "pykeen",
        "--seeds",
        "2",
        "--epochs",
        "1",
        "--loss",
        "nssa",
        "--rate",
        "0.05",
        "--kept",
        str(kept),
    )
    body, records = run(tmp_path, *asked)
    assert [r["sampler"] for r in records] == 2 * list(pipeline.SAMPLERS)
    one, two = ([r["test"] for r in records if r["sampler"] == name] for name in ("basic", "run-weighed"))
    less = [b - a for a, b in zip(one, two, strict=True)]
    valid = sum(r["valid"] for r in records if r["sampler"] == "run-weighed") / 2
    told = f"| 0.05 | {valid:.3f} | {sum(two) / 2:.3f} | {sum(less) / 2:+.3f} |"
    assert f"| nssa | the same, with weights {told}" in body and "| nssa | basic |" in body
    _, found = run(tmp_path, *asked)
    assert found == records and len(kept.read_text().splitlines()) == 10, "nothing is trained again"
    kept.write_text("{")
    with pytest.raises(InputError, match="line 1 is no record of a training"):
        pipeline.measure(2, 1, ["nssa"], [0.05], kept)


def test_of_several_rates_the_one_with_the_best_valid_mrr_is_shown():
    def record(sampler: str, rate: float, seed: int, valid: float, test: float) -> dict[str, object]:
        return {
            "loss": "nssa", "sampler": sampler, "rate": rate, "seed": seed, "valid": valid, "test": test, "seconds": 1.0
        }  # fmt: skip

    records = [
        record(sampler, rate, seed, valid, test + 0.01 * seed)
        for sampler in pipeline.SAMPLERS
        for rate, valid, test in ((0.1, 0.6, 0.5), (0.2, 0.5, 0.9))
        for seed in (0, 1)
    ]
    rows = pipeline._rows(records)
    assert [row[2] for row in rows] == ["0.1"] * 5
    assert rows[0][3:] == ["0.600", "0.505", "", "", "2", "1 s"] and rows[1][5] == "+0.000"


def test_scaling():
    sweeps = {"edges": (200, 400), "entities": (50, 100), "negatives": (8, 16), "dim": (8, 16)}
    found = scaling.measure(1, scaling.Size(200, 50, 8, 8), sweeps)
    assert len(found.rows) == 4
    sizes, fits = found.records[:5], found.records[5:]
    assert all(len(size["seconds"]) == 1 for size in sizes)
    assert [fit["terms"] for fit in fits] == [["1", "edges", "entities"], ["1", "N_s"], ["1", "d", "d²"]]
    assert [len(fit["sizes"]) for fit in fits] == [3, 2, 2]
    assert all(fit["text"] in found.note for fit in fits)


def test_ranks():
    found = {"graph": "nations", "sampler": "dans", "processes": 1} | ranks.of_this_process(
        "nations", "dans", 2
    )
    assert found["rank"] == 0 and len(found["epochs"]) == 2
    first, second = found["epochs"]
    # One round of the game is for ten steps.
    assert first["game"] > 0 == second["game"]
    row = ranks._row(found, {("nations", "dans"): 2 * ranks._least(found)["epoch"]})
    assert row[1:4] == ["DANS", f"{found['batch_size']:,}", "1"] and "2.00x" in row
    assert ranks._graph("random:40:30").num_entities == 30


def test_shards():
    kg = shards.near_graph(100, 2500)
    assert kg.num_entities == 100 and len(kg.train) > 1000
    apart = (kg.train[:, 0] - kg.train[:, 2]).abs()
    assert int(apart.minimum(100 - apart).max()) == 20
    told = {
        "table": 2e6,
        "rows": 50,
        "vertices": 60,
        "closure": 100,
        "bytes": 0,
        "seconds": 0.5,
        "memory": 1e9,
    }
    seeds = [told | {"mrr": mrr, "entities": 100} for mrr in (0.2, 0.3)]
    row = shards._row({"graph": "umls", "sampler": "uniform", "processes": 2, "seeds": seeds})
    assert row[3:7] == ["2.0 MB", "50 (50%)", "60 (60%)", "100 (100%)"] and row[-1] == "0.250 ± 0.071"


def test_estimates(tmp_path, monkeypatch):
    monkeypatch.setattr(graphs, "_SMALL", 100)
    before = {name: os.environ.get(name) for name in ("DANS_RUNS_DIR", "DANS_CACHE_DIR")}
    body, records = run(tmp_path, "estimates", "--dataset", "nations", "--epochs", "2")
    assert [record["sampler"] for record in records] == ["dans", "uniform"]
    # Measured a moment before, and said so where the machine was busy.
    assert {record["basis"] for record in records} <= {"practice", "busy"}
    for record in records:
        assert 0 < record["training"] < record["took"] and (record["epochs"], record["slowed"]) == (2, 1)
        # The recipe of nations is that of a small graph: many more epochs.
        assert 0 < record["promised"] < record["whole"]
    assert body.count("| nations |") == 2 and "Nothing else ran." in body
    assert {name: os.environ.get(name) for name in before} == before


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes cannot be bound to a core here")
def test_busy_processes_share_one_core_with_what_is_slowed_down():
    cores = os.sched_getaffinity(0)
    with estimates._slowed_down(3):
        assert len(os.sched_getaffinity(0)) == 1
        others = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
        assert [os.sched_getaffinity(int(each)) for each in others[-2:]] == [os.sched_getaffinity(0)] * 2
    assert os.sched_getaffinity(0) == cores
    with estimates._slowed_down(1):
        assert os.sched_getaffinity(0) == cores


def test_a_file_that_cannot_be_written_is_refused_before_measuring(tmp_path):
    result = CliRunner().invoke(command_line.app, ["layer", "--out", str(tmp_path / "nowhere" / "x.md")])
    assert result.exit_code == 2
    assert "there is no folder" in result.output


def test_a_wrong_data_set_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks", "layer", "--dataset", "nell"])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith('there is no data set "nell"')
