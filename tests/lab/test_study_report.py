"""The report of a study: what it says, its CSV read back, and the folder that is itself a study."""

import csv
import io
import json
import zipfile

import pytest

from dans_data.errors import InputError
from dans_data.words import signed
from dans_lab import cli
from dans_lab.names import METRICS
from dans_lab.study import folder as folders
from dans_lab.study.delivery import comparisons_csv, deliver, packed, runs_csv, table_csv
from dans_lab.study.findings import AgainstReference, IntervalReach, VerdictCounts, findings
from dans_lab.study.folder import Study, open_study, shipped_studies
from dans_lab.study.markup import markdown_text
from dans_lab.study.plan import SHIPPED, read_plan
from dans_lab.study.report import markdown, read_study
from dans_lab.study.words import MARKS, sentences
from tests.study_samples import SMALL, small_plan, write_study

SKILL = {"uniform": 0.5, "popularity": -0.5}

STABILITY = """
title = "Balance"
seeds = 3
dataset = "nations"
[settings]
epochs = 40
[table]
rows = "variant"
figure = "stability"
[[variant]]
name = "1 : 1"
[[variant]]
name = "=cmd | <b>*bold*</b>"
k_d = 10
"""

LINE = """
title = "Noise"
seeds = 3
dataset = "nations"
[[part]]
title = "Sigma"
note = "How much noise."
settings = { epochs = 40 }
grid = { sigma = [0.01, 0.1, 0.5] }
table = { reference = 0.5, figure = "line" }
[[part]]
title = "Negatives"
settings = { epochs = 40 }
grid = { negatives = [10, 20], random_negatives = [true, false] }
table = { reference = 20 }
"""


def better_uniform(cell) -> float:
    return SKILL.get(cell.config.sampler, 0.0)


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path / "studies", small_plan(), skill=better_uniform)


def parsed(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def command(*words: str) -> int:
    return cli.main(["report", *words])


# --- what it says


def test_the_report_says_what_was_asked_and_run(study):
    text = markdown(read_study(study))
    assert text.startswith("# Small study\n\nWhich negatives are best?\n\n## What was run")
    for words in (
        "Runs: 18, of 6 settings with 3 seeds each (0, 1, 2).",
        "Equal training budget: 40 epochs for every run",
        "20 negatives per query (N_s)",
        "Seconds differ, and are shown.",
        "torch 2.13.0+cpu",
        "estimated before it began: 10 min 0 s; taken: 11 min 0 s, 1.10 × the estimate",
        "Popularity floor on test",
        "MRR 0.161, H@1 0.056, H@3 0.170, H@10 0.310, NDCG@5 0.188",
    ):
        assert words in text
    assert "Unfinished" not in text


def test_counts_of_the_data_set_are_told_where_it_is_the_same(study, nations):
    assert "14 entities" not in markdown(read_study(study)), "the hash is another"
    about = json.loads((study.path / "study.json").read_text())
    (study.path / "study.json").write_text(json.dumps(about | {"hash": nations.hash}))
    text = markdown(read_study(open_study(str(study.path))))
    assert "Nations, 14 entities, 55 relations; 1,592 / 199 / 201 triplets in train / valid / test" in text


def test_the_tables_hold_the_means_and_their_marks(study):
    read = read_study(study)
    lines = markdown(read).splitlines()
    table = read.tables[0]
    matrix = next(line for line in lines if line.startswith("| Uniform "))
    for cell, decoder in zip(matrix.split("|")[2:4], ("distmult", "complex"), strict=True):
        labels = {"sampler": "uniform", "decoder": decoder}
        found, compared = table.entry(labels).spread("mrr"), table.comparison(labels)
        assert f"{found.mean:.3f} ± {found.sd:.3f}" in cell
        assert ("▲" in cell) == (compared.verdict == "better")
    assert "▲" in matrix
    # Raw, too, every table is one of even lines.
    blocks = [block.splitlines() for block in markdown(read).split("\n\n") if block.startswith("|")]
    assert len(blocks) == 4 and all(len({len(line) for line in block}) == 1 for block in blocks)
    assert all(len({line.count("|") for line in block}) == 1 for block in blocks)


def test_an_unfinished_study_says_so_at_the_top(tmp_path):
    plan = small_plan()
    runs = [planned.run for planned in plan.jobs]
    study = write_study(tmp_path, plan, missing=runs[:4], failed=runs[4:5])
    read = read_study(study)
    lines = markdown(read).splitlines()
    assert lines[4] == "**Unfinished: 14 of 18 runs.** All below may change."
    text = markdown(read)
    assert "1 diverged" in text and "1 missing" in text
    assert any("1 run diverged and is in no mean" in sentence for sentence in sentences(read.tables[0]))
    assert any(
        "4 runs of this table are not there yet." in sentence for sentence in sentences(read.tables[0])
    )


def test_findings_name_each_row_once_by_its_verdict(study):
    table = read_study(study).tables[0]
    found = sentences(table)
    assert found[0].startswith("DistMult: DANS, the reference, has a test MRR of 0.")
    assert found[1].startswith("ComplEx: ")
    for sentence, decoder in zip(found, ("distmult", "complex"), strict=False):
        uniform = table.comparison({"sampler": "uniform", "decoder": decoder})
        popularity = table.comparison({"sampler": "popularity", "decoder": decoder})
        assert f"Uniform ({signed(uniform.difference)})" in sentence
        assert f"Popularity ({signed(popularity.difference)})" in sentence
        if uniform.verdict == "better":
            assert f"Better: Uniform ({signed(uniform.difference)})" in sentence
    count = {
        verdict: sum(each.verdict == verdict for each in table.comparisons) for verdict in ("better", "worse")
    }
    assert found[2].startswith(
        f"Of 4 differences from DANS, the other way is better in {count['better']}, DANS in {count['worse']}; "
    )


def test_findings_are_records_of_the_comparisons(study):
    table = read_study(study).tables[0]
    columns = [found for found in findings(table) if isinstance(found, AgainstReference)]
    assert [found.column for found in columns] == [("distmult",), ("complex",)]
    for found in columns:
        own = [each for each in table.comparisons if each.labels["decoder"] == found.column[0]]
        assert found.compared == tuple(own)
        assert sum(len(found.by(verdict)) for verdict in MARKS) == len(own)
        assert found.means[found.worst] <= found.reference.mean <= found.means[found.best]
    (counts,) = [found for found in findings(table) if isinstance(found, VerdictCounts)]
    assert counts.better + counts.worse <= counts.compared == len(table.comparisons)
    (reach,) = [found for found in findings(table) if isinstance(found, IntervalReach)]
    assert reach.least <= reach.median <= reach.most


def test_findings_claim_nothing_where_nothing_differs(tmp_path):
    table = read_study(write_study(tmp_path, small_plan())).tables[0]
    text = " ".join(sentences(table))
    assert "the other way is better in 0, DANS in 0; 4 cannot be told apart" in text
    assert "None can be told apart from it: Uniform (" in text and "Better" not in text
    reach = sorted((each.high - each.low) / 2 for each in table.comparisons)
    assert f"({reach[0]:.3f} to {reach[-1]:.3f})" in text


def test_one_seed_is_said_to_speak_of_itself_alone(tmp_path):
    read = read_study(write_study(tmp_path, small_plan(SMALL.replace("seeds = 3", "seeds = 1"))))
    (table,) = read.tables
    assert any("speak of that seed alone" in sentence for sentence in sentences(table))
    assert "and not of new seeds" in markdown(read) and "speak of new seeds" not in markdown(read)
    assert all(each.seeds == 1 for each in table.comparisons)


def test_a_reference_without_a_run_leaves_nothing_to_compare(tmp_path):
    plan = small_plan()
    gone = [planned.run for planned in plan.jobs if planned.config.sampler == "dans"]
    found = sentences(read_study(write_study(tmp_path, plan, failed=gone)).tables[0])
    assert found[0] == "DistMult: DANS, the reference, has no finished run, so nothing is compared."
    assert any(sentence.startswith("Not compared, for want of a finished seed") for sentence in found)


def test_parts_of_values_tell_their_range(tmp_path):
    read = read_study(write_study(tmp_path, small_plan(LINE, "noise")))
    text = markdown(read)
    assert "## Sigma\n\nHow much noise.\n" in text and "## Negatives\n" in text
    assert sentences(read.tables[0])[0].startswith("Noise (σ): 0.5, the reference, has a test MRR of ")
    assert "; the means go from 0." in sentences(read.tables[0])[0]
    assert "negatives per query (N_s) differ: 10, 20" in text
    assert (
        sentences(read.tables[1])[0].startswith("Random negatives on, ")
        or "on, " in sentences(read.tables[1])[0]
    )


def test_stability_explains_its_figures_and_shows_foreign_names_as_they_are(tmp_path):
    read = read_study(write_study(tmp_path, small_plan(STABILITY, "balance")))
    text = markdown(read)
    assert "### The way there" in text and "- Collapse: Share of the checks" in text
    assert "=cmd \\| \\<b\\>\\*bold\\*\\</b\\>" in text and "<b>" not in text
    assert any(sentence.startswith("Collapse: lowest ") for sentence in sentences(read.tables[0]))
    found = parsed(table_csv(read.tables[0]))
    assert found[1]["variant"] == "'=cmd | <b>*bold*</b>", "no spreadsheet runs it"
    assert float(found[0]["collapse_mean"]) == pytest.approx(
        read.tables[0].entries[0].figure("collapse").mean
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("G_E only", "G_E only"),
        ("_x_", "\\_x\\_"),
        ("a|b\nc", "a\\|b c"),
        ("[l](x) `c` # $m$", "\\[l\\](x) \\`c\\` \\# \\$m\\$"),
        ("a\x1b[31mb", "a\\[31mb"),
    ],
)
def test_foreign_text_is_no_markdown(text, shown):
    assert markdown_text(text) == shown


# --- files


def test_runs_csv_holds_every_run_that_was_asked_for(tmp_path):
    plan = small_plan()
    runs = [planned.run for planned in plan.jobs]
    study = write_study(tmp_path, plan, missing=runs[:2], failed=runs[2:3])
    found = parsed(runs_csv(read_study(study)))
    records = study.records()
    assert [line["run"] for line in found] == runs
    assert [line["state"] for line in found] == ["missing"] * 2 + ["failed"] + ["finished"] * 15
    assert found[2]["reason"] == records[runs[2]].reason and found[0]["seconds"] == ""
    for line in found[3:]:
        record = records[line["run"]]
        assert (int(line["seed"]), int(line["best_epoch"])) == (record.seed, record.best_epoch)
        for name in METRICS:
            assert float(line[f"test_{name}"]) == record.test[name]
            assert float(line[f"valid_{name}"]) == record.valid[name]
        assert float(line["oscillation"]) == record.figures["oscillation"]
    assert {line["sampler"] for line in found} == {"dans", "uniform", "popularity"}


def test_the_other_csv_hold_the_tables_and_all_metrics_of_the_comparisons(study):
    read = read_study(study)
    cells = parsed(table_csv(read.tables[0]))
    for line, entry in zip(cells, read.tables[0].entries, strict=True):
        assert (line["sampler"], line["decoder"]) == (entry.labels["sampler"], entry.labels["decoder"])
        assert float(line["test_hits_at_3_mean"]) == entry.spread("hits_at_3").mean
        assert float(line["seconds_sd"]) == entry.seconds.sd
    compared = parsed(comparisons_csv(read, 0))
    assert len(compared) == 5 * 4
    for metric in METRICS:
        lines = [line for line in compared if line["metric"] == metric]
        for line, each in zip(lines, read_study(study, metric).tables[0].comparisons, strict=True):
            assert float(line["difference"]) == each.difference and float(line["holm_p"]) == each.corrected
            assert line["verdict"] == each.verdict and line["reference"] == "dans"


def test_the_packed_folder_is_a_study_with_the_same_tables(study, tmp_path):
    read = read_study(study)
    folder, files = deliver(read, tmp_path / "results")
    assert folder == tmp_path / "results" / "small"
    assert {file.name: file.stat().st_size for file in folder.iterdir()} == files
    again = read_study(open_study(str(folder)))
    assert again.tables == read.tables and again.meta == read.meta
    assert markdown(again) == markdown(read)
    once_more, _ = deliver(again, tmp_path / "elsewhere" / "small")
    assert once_more == tmp_path / "elsewhere" / "small"
    for name in files:
        assert (once_more / name).read_bytes() == (folder / name).read_bytes()


def test_the_same_records_give_the_same_bytes(study, tmp_path):
    read = read_study(study)
    turned = {run: read.records[run] for run in reversed(read.records)}
    other = type(read)(read.study, read.plan, read.meta, turned, read.tables, read.metric)
    assert packed(read) == packed(other)
    with zipfile.ZipFile(io.BytesIO(packed(read)["records.zip"])) as archive:
        assert archive.namelist() == sorted(f"{run}.json" for run in read.records)
        assert {file.date_time for file in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_records_that_the_plan_does_not_ask_for_stay_out(study):
    run = next(iter(study.records()))
    stray = study.path / "records" / "stray.json"
    stray.write_bytes((study.path / "records" / f"{run}.json").read_bytes())
    assert "stray" in study.records() and "stray" not in read_study(study).records


def test_an_earlier_report_is_replaced_whole(study):
    folder = study.path / "report"
    folder.mkdir()
    for name in ("table-7.csv", "comparisons-2.csv", "report.md", "notes.txt"):
        (folder / name).write_text("old")
    written, files = deliver(read_study(study))
    assert written == folder
    assert {file.name for file in folder.iterdir()} == {*files, "notes.txt"}
    assert not {"study.toml", "records.zip"} & set(files)
    assert (folder / "report.md").read_text().startswith("# Small study")


def test_a_study_is_not_written_over_another_with_its_own_records(study, tmp_path):
    other = write_study(tmp_path / "others", small_plan())
    with pytest.raises(InputError, match="is a study with records of its own"):
        deliver(read_study(study), tmp_path / "others")
    assert not (other.path / "report.md").exists()


# --- the command


def test_the_command_writes_and_says_what_it_found(study, tmp_path, capsys):
    assert command(str(study.path), "--to", str(tmp_path / "out"), "--metric", "hits_at_10") == 0
    said = capsys.readouterr().out
    assert "DANS, the reference, has a test H@10 of" in said
    assert f"written to {tmp_path / 'out' / 'small'}:" in said and "records.zip" in said
    assert "Test H@10, each less DANS" in (tmp_path / "out" / "small" / "report.md").read_text()


def test_the_command_gives_json(study, capsys):
    assert command(str(study.path), "--json") == 0
    record = json.loads(capsys.readouterr().out)
    read = read_study(study)
    assert (record["study"], record["runs"], record["finished"], record["missing"]) == ("small", 18, 18, 0)
    (part,) = record["parts"]
    assert part["findings"] == sentences(read.tables[0])
    assert [each["verdict"] for each in part["comparisons"]] == [
        each.verdict for each in read.tables[0].comparisons
    ]
    assert part["cells"][0]["test"]["mean"] == read.tables[0].entries[0].spread("mrr").mean


def damaged_plan(study):
    (study.path / "study.toml").write_text("title = ")


def damaged_about(study):
    (study.path / "study.json").write_text("{")


def damaged_record(study):
    next((study.path / "records").iterdir()).write_text('{"run": 3}')


def no_about(study):
    (study.path / "study.json").unlink()


def no_records(study):
    for file in (study.path / "records").iterdir():
        file.unlink()


def damaged_zip(study):
    (study.path / "records.zip").write_bytes(b"PK\x03\x04 and no more")


@pytest.mark.parametrize(
    "damage", [damaged_plan, damaged_about, damaged_record, no_about, no_records, damaged_zip]
)
def test_what_is_damaged_is_told_in_one_sentence(study, damage, capsys):
    damage(study)
    assert command(str(study.path)) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("error: ") and said.err.count("\n") == 1
    assert study.name in said.err and not (study.path / "report").exists()


@pytest.mark.parametrize(
    "words", [["nowhere-at-all"], ["{study}", "--metric", "mmr"], ["{study}", "--to", "{file}"]]
)
def test_mistakes_are_told_in_one_sentence(study, words, tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("")
    assert command(*(word.format(study=study.path, file=file) for word in words)) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_study_named_after_its_data_set_stands_in_the_folder_of_the_data_set(tmp_path, monkeypatch):
    """`report nations --to results` makes results/nations; others go below it, and all are found."""
    results = tmp_path / "results"
    monkeypatch.setattr(folders, "RESULTS", results)
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path / "runs"))
    for name, to in (("nations", results), ("small", results / "nations"), ("main", results / "umls")):
        deliver(read_study(write_study(tmp_path / "own", small_plan(name=name))), to)
    assert shipped_studies() == [results / "umls/main", results / "nations", results / "nations/small"]
    studies = folders.list_studies()
    assert [study.key for study in studies] == ["umls/main", "nations/nations", "nations/small"]
    assert all(study.shipped for study in studies) and open_study("nations").path == results / "nations"
    # One's own comes first, and has a key of its own.
    own = write_study(tmp_path / "runs" / "studies", small_plan(name="nations"))
    assert open_study("nations").path == own.path and own.key == "nations"
    deliver(read_study(open_study(str(results / "nations"))), results)
    assert (results / "nations" / "small" / "study.toml").is_file()


def test_every_shipped_study_can_be_reported(tmp_path):
    for name in (file.stem for file in SHIPPED.glob("*.toml")):
        study = write_study(tmp_path, read_plan(name), triplets=12)
        text = markdown(read_study(study))
        assert text.count("### What it shows") == len(study.plan.parts)


@pytest.mark.parametrize("folder", shipped_studies(), ids=lambda path: path.name)
def test_the_shipped_reports_are_those_of_the_shipped_records(folder):
    """Made again from the packed records, they come out as they are; and every run that was asked for is there."""
    read = read_study(Study(folder))
    assert len(read.records) == len(read.plan.jobs)
    assert markdown(read) == (folder / "report.md").read_text(encoding="utf-8")
    assert runs_csv(read) == (folder / "runs.csv").read_bytes()
    assert read.plan.text == (SHIPPED / f"{folder.name}.toml").read_text(encoding="utf-8")
