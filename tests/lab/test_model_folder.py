"""An exported model: read back it ranks the same, others read it without us, and its card says what it is worth."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file

from dans_core import KnowledgeGraph
from dans_data import SPLITS
from dans_data.errors import InputError
from dans_lab.cli import main
from dans_lab.export.model_card import Interval
from dans_lab.prediction import load_run
from dans_lab.prediction.answers import tail_scores
from dans_lab.runs.run import RUNS_DIR_VARIABLE, Run
from tests import small_run
from tests.lab.refusals import refused

ROOT = Path(__file__).resolve().parents[2]
NASTY = ["NA", "null", '"in quotes"', '"one', "#hash", "a b", "it's", "1", "-x", "ä", "[link](x)", "`tick`"]


@pytest.fixture(autouse=True)
def own_runs(tmp_path, monkeypatch):
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(tmp_path / "runs"))


def nasty_data(folder: Path) -> Path:
    """A data set of names that readers trip over."""
    folder.mkdir()
    count = len(NASTY)
    rows = [
        f"{NASTY[i]}\t{'NA' if i % 2 else 'n/a'}\t{NASTY[(i * step + 1) % count]}"
        for i in range(count)
        for step in (1, 5)
    ]
    for split, part in zip(SPLITS, (rows, rows[:6], rows[6:12]), strict=True):
        (folder / f"{split}.tsv").write_text("head\trelation\ttail\n" + "\n".join(part) + "\n")
    return folder


@pytest.mark.parametrize("decoder", ["distmult", "complex", "rotate"])
def test_in_a_fresh_process_elsewhere_it_ranks_the_same_to_the_last_digit(tmp_path, capsys, decoder):
    """The run, its data and the checkout are not there: another working folder, another folder of runs."""
    data = nasty_data(tmp_path / "data")
    small_run.trained(tmp_path / "runs", "small", dataset=str(data), decoder=decoder, average=0.5)
    assert main(["evaluate", "small", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    ranks = load_run("small").evaluate().ranks
    assert main(["predict", "small", "--head", "NA", "--relation", "n/a", "--json"]) == 0
    answers = json.loads(capsys.readouterr().out)["answers"]
    assert main(["export", "small", "--to", str(tmp_path / "out")]) == 0
    assert f"The model has the best weights, of epoch {told['epoch']}, in float32" in capsys.readouterr().out
    elsewhere = tmp_path / "elsewhere"
    shutil.move(tmp_path / "out", elsewhere)
    shutil.rmtree(tmp_path / "runs")
    shutil.rmtree(data)
    code = (
        "import dataclasses, json; from dans_lab.prediction import load_run; run = load_run('.');"
        "answers = [dataclasses.asdict(answer) for answer in run.predict('NA', 'n/a')];"
        "found = run.evaluate();"
        "print(json.dumps([found.mrr, found.hits_at_1, found.ranks.tolist(), run.epoch, run.which, answers]))"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    mrr, hits, found, epoch, which, again = json.loads(done.stdout)
    assert (mrr, hits, epoch, which) == (told["mrr"], told["hits_at_1"], told["epoch"], "best")
    assert found == ranks.tolist() and again == answers

    assert main(["evaluate", str(elsewhere), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mrr"] == told["mrr"]
    assert main(["evaluate", str(elsewhere)]) == 0
    assert f"best weights, epoch {told['epoch']}" in capsys.readouterr().out
    assert main(["predict", str(elsewhere), "--head", "NA", "--relation", "n/a", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answers"] == answers


@pytest.mark.parametrize("decoder", ["distmult", "complex", "rotate"])
def test_the_lines_of_its_card_load_it_without_this_program(tmp_path, decoder):
    small_run.trained(tmp_path / "runs", "small", dataset=str(nasty_data(tmp_path / "data")), decoder=decoder)
    assert main(["export", "small", "--to", str(tmp_path / "out")]) == 0
    card = (tmp_path / "out" / "README.md").read_text()
    code = card.split("```python\n")[1].split("```")[0]
    assert len(code.splitlines()) == 6 and "dans" not in code
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "out",
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    )
    run = load_run("small")
    head, relation, _ = next(run.kg.named("test"))
    h, r = (torch.tensor([each]) for each in (run.kg.entity_id(head), run.kg.relation_id(relation)))
    order = tail_scores(run.trained, h, r)[0].argsort(descending=True)[:10]
    assert done.stdout.strip() == str([run.kg.entities[i] for i in order.tolist()])


@pytest.mark.parametrize("which", ["best", "last"])
def test_the_vectors_are_those_that_were_evaluated(tmp_path, which):
    small_run.trained(tmp_path / "runs", "small", sampler="uniform")
    assert main(["export", "small", "--to", str(tmp_path / "out"), "--checkpoint", which]) == 0
    run = load_run("small", which)
    vectors = load_file(tmp_path / "out" / "model.safetensors")
    assert {name: each.dtype for name, each in vectors.items()} == dict.fromkeys(
        ("entities", "relations"), torch.float32
    )
    assert torch.equal(vectors["entities"], run.trained.entities)
    assert torch.equal(vectors["relations"], run.model.relation)
    settings = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (settings["weights"], settings["epoch"]) == (which, run.epoch)
    assert (load_run(tmp_path / "out").which, load_run(tmp_path / "out").epoch) == (which, run.epoch)
    other = "last" if which == "best" else "best"
    with pytest.raises(InputError, match=f"has the {which} weights of its run alone, not the {other} ones"):
        load_run(tmp_path / "out", other)


def test_triplets_are_read_by_the_peers(tmp_path):
    """By PyKEEN's reader of tables, pandas as it calls it, and by LibKGE's form: its own loader is these few lines."""
    data = nasty_data(tmp_path / "data")
    small_run.trained(tmp_path / "runs", "small", dataset=str(data), sampler="uniform")
    assert main(["export", "small", "--to", str(tmp_path / "out")]) == 0
    folder, kg = tmp_path / "out" / "triplets", KnowledgeGraph.load(data)
    told = yaml.safe_load((folder / "dataset.yaml").read_text())["dataset"]
    assert (told["name"], told["num_entities"], told["num_relations"]) == ("data", len(NASTY), 2)
    names = {}
    for kind, wanted in (("entity", kg.entities), ("relation", kg.relations)):
        assert told[f"files.{kind}_ids.type"] == "map"
        lines = (folder / told[f"files.{kind}_ids.filename"]).read_text().splitlines()
        names[kind] = {int(key): value for key, value in (line.split("\t", maxsplit=1) for line in lines)}
        assert tuple(names[kind].values()) == wanted
    for split in SPLITS:
        assert told[f"files.{split}.type"] == "triples"
        rows = pd.read_csv(
            folder / told[f"files.{split}.filename"],
            sep="\t",
            dtype=np.int32,
            header=None,
            usecols=range(3),
        )
        assert np.array_equal(rows.to_numpy(), kg.array(split))
        assert told[f"files.{split}.size"] == len(rows)
        by_name = pd.read_csv(
            folder / f"{split}.txt",
            sep="\t",
            encoding="utf-8",
            dtype=str,
            header=None,
            keep_default_na=False,
        )
        assert [tuple(row) for row in by_name.to_numpy().tolist()] == list(kg.named(split))


@pytest.mark.long
@pytest.mark.parametrize(("dataset", "decoder"), [("umls", "distmult"), ("umls", "complex")])
def test_ranks_are_those_of_pykeen_from_the_exported_files(tmp_path, dataset, decoder):
    from pykeen.models import ComplEx, DistMult
    from pykeen.nn.init import PretrainedInitializer
    from pykeen.predict import predict_target
    from pykeen.triples import TriplesFactory

    small_run.trained(
        tmp_path / "runs", "small", dataset=dataset, sampler="uniform", decoder=decoder, lr=0.05
    )
    assert main(["export", "small", "--to", str(tmp_path / "out")]) == 0
    shutil.rmtree(tmp_path / "runs")
    folder = tmp_path / "out"
    named = pd.read_csv(folder / "entities.tsv", sep="\t", header=None, keep_default_na=False, quoting=3)
    entities = dict(zip(named[1], named[0], strict=True))
    named = pd.read_csv(folder / "relations.tsv", sep="\t", header=None, keep_default_na=False, quoting=3)
    # Heads are asked for by reciprocals, which stand behind.
    relations = dict(zip([*named[1], *named[1] + "⁻¹"], range(2 * len(named)), strict=True))
    splits = {
        split: TriplesFactory.from_path(
            folder / "triplets" / f"{split}.txt", entity_to_id=entities, relation_to_id=relations
        )
        for split in SPLITS
    }
    vectors = load_file(folder / "model.safetensors")
    if decoder == "complex":
        vectors = {name: torch.stack(each.chunk(2, -1), -1) for name, each in vectors.items()}
    # Else it scales entities to length 1.
    unconstrained = {} if decoder == "complex" else {"entity_constrainer": None}
    model = (ComplEx if decoder == "complex" else DistMult)(
        **unconstrained,
        triples_factory=splits["train"],
        embedding_dim=vectors["entities"].shape[1],
        entity_initializer=PretrainedInitializer(vectors["entities"]),
        relation_initializer=PretrainedInitializer(vectors["relations"]),
    )
    run = load_run(folder)
    known = {row for split in SPLITS for row in run.kg.named(split)}
    for head, relation, tail in list(run.kg.named("test"))[::4]:
        for of, (asked, r) in (("tail", (head, relation)), ("head", (tail, relation + "⁻¹"))):
            scores = predict_target(model, head=asked, relation=r, triples_factory=splits["train"]).df
            scored = dict(zip(scores["tail_label"], scores["score"], strict=True))
            right = tail if of == "tail" else head
            rivals = [
                score
                for name, score in scored.items()
                if ((head, relation, name) if of == "tail" else (name, relation, tail)) not in known
            ]
            above = sum(score > scored[right] for score in rivals)
            level = sum(score == scored[right] for score in rivals)
            asked_for = {"head": head} if of == "tail" else {"tail": tail}
            (ours,) = (
                answer.rank
                for answer in run.predict(relation=relation, top=run.kg.num_entities, **asked_for)
                if (answer.tail if of == "tail" else answer.head) == right
            )
            assert ours == 1 + above + level / 2


def test_the_card_says_what_it_is_worth_and_over_how_many_seeds(tmp_path, capsys):
    made = [
        small_run.trained(tmp_path / "runs", f"seed-{seed}", sampler="uniform", seed=seed)
        for seed in (0, 1, 2)
    ]
    small_run.trained(tmp_path / "runs", "another", sampler="uniform", seed=3, dim=8)
    mrr = []
    for run in made:
        assert main(["evaluate", run.id, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        mrr.append(told["mrr"])
    assert main(["export", "seed-2", "--to", str(tmp_path / "out")]) == 0
    assert "ranking seed-1, the same with another seed" in capsys.readouterr().err
    card = (tmp_path / "out" / "README.md").read_text()
    over = Interval.of(mrr)
    assert (
        f"Test MRR over 3 seeds (0, 1, 2): {over.mean:.3f}, 95 % interval of the mean {over.low:.3f} to "
        f"{over.high:.3f} (Student’s t); this one is seed 2." in card
    )
    assert "`run seed-0 and run seed-1`" in card
    assert f"| this model | {told['mrr']:.3f} |" in card
    assert f"| popularity floor | {told['floor']['mrr']:.3f} |" in card
    assert "The model is below the floor" in card
    assert f"`{made[2].meta.hash}`" in card and "201 of test" in card
    assert "python -m dans_core train --dataset nations" in card and "keep_default_na=False" in card
    assert main(["export", "seed-2", "--to", str(tmp_path / "last"), "--checkpoint", "last"]) == 0
    assert "other seeds are ranked by their best weights" in (tmp_path / "last" / "README.md").read_text()
    assert main(["export", "another", "--to", str(tmp_path / "alone")]) == 0
    assert "This is one seed (3): no run was found" in (tmp_path / "alone" / "README.md").read_text()


def test_seeds_of_a_study_count(tmp_path):
    """A study that came along has ten seeds of the default recipe."""
    assert main(["export", "umls-complex-dans", "--to", str(tmp_path / "out")]) == 0
    run = Run(ROOT / "assets" / "recorded" / "umls-complex-dans")
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"this one is seed {run.config.seed}" in card and "study umls/samplers-umls" in card


def test_an_interval_is_that_of_student():
    # scipy.stats.t.interval(0.95, 3, loc=3, scale=sqrt(10 / 3 / 4)), of 1, 2, 4, 5.
    over = Interval.of([1.0, 2.0, 4.0, 5.0])
    assert (over.mean, over.count) == (3.0, 4)
    assert (over.low, over.high) == (pytest.approx(0.09483728), pytest.approx(5.90516272))


def test_a_zip_holds_the_folder(tmp_path, capsys):
    small_run.trained(tmp_path / "runs", "small", sampler="uniform")
    file = tmp_path / "a" / "model.zip"
    assert main(["export", "small", "--to", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    with zipfile.ZipFile(file) as packed:
        assert {f"model/{name}" for name in told["files"]} == set(packed.namelist())
        packed.extractall(tmp_path)
    assert load_run(tmp_path / "model").evaluate().mrr == load_run("small").evaluate().mrr
    assert "is there already; expected a new file" in refused(["export", "small", "--to", str(file)], capsys)


def test_what_is_no_model_or_was_changed_gets_one_sentence(tmp_path, capsys):
    small_run.trained(tmp_path / "runs", "small", sampler="uniform")
    assert main(["export", "small", "--to", str(tmp_path / "whole")]) == 0
    capsys.readouterr()

    def changed(name: str, content: bytes | None) -> str:
        folder = tmp_path / "changed"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tmp_path / "whole", folder)
        (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
        return refused(["evaluate", str(folder)], capsys)

    facts = (tmp_path / "whole" / "triplets" / "train.del").read_bytes()
    assert "other triplets or names" in changed("triplets/train.del", facts[facts.index(b"\n") + 1 :])
    assert "expected three numbers a line" in changed("triplets/train.del", b"1\t2\n")
    assert "train.del is missing" in changed("triplets/train.del", None)
    assert "does not number its names" in changed("entities.tsv", b"0\ta\n2\tb\n")
    assert "is not the model of an export" in changed("model.safetensors", b"nothing")
    assert "config.json" in changed("config.json", b"{}")
    other = small_run.trained(tmp_path / "runs", "other", sampler="uniform", dim=8)
    assert main(["export", other.id, "--to", str(tmp_path / "other")]) == 0
    capsys.readouterr()
    vectors = (tmp_path / "other" / "model.safetensors").read_bytes()
    assert "vectors for other entities or relations" in changed("model.safetensors", vectors)
    triplet = ["--triplet", "brazil", "embassy", "uk"]
    words = refused(["inspect", str(tmp_path / "whole"), *triplet], capsys)
    assert "it can be evaluated and asked, by `evaluate` and `predict`, and nothing else" in words
