"""Studies: what a file asks for, what is made of it, and what convergence of a run is."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dans_core import Config
from dans_core.events import Diagnostics, Losses, Ranking
from dans_data.errors import InputError
from dans_lab.budget.recipe import config_for
from dans_lab.cli import main
from dans_lab.names import SAMPLERS
from dans_lab.runs import machine
from dans_lab.runs.run import Run, run_id_error
from dans_lab.study import facts
from dans_lab.study.conduct import conducting
from dans_lab.study.convergence import FIGURES, convergence, curves, swing
from dans_lab.study.folder import Study, shipped_studies
from dans_lab.study.plan import SHIPPED, VARIANT, parse_plan, read_plan
from tests import large_run
from tests.sound_pathway import SOUND
from tests.study_samples import EQUAL_TIME, needs_ray, small_plan, study_file

LONG = [number / 1000 for number in range(1, 101)]


def test_what_was_timed_before_is_not_timed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dans_lab.study.crew import Processes

    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    plan = read_plan(study_file(tmp_path))
    kinds = {
        plan.run_id(planned.config.with_values(seed=0)): 10.0 * place
        for place, planned in enumerate(plan.jobs[:4], 1)
    }
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with conducting(plan) as conduct, Processes(1) as crew:
        with pytest.raises(InputError, match="no process could be started"):
            conduct.estimate(crew)
        conduct.note(expected=kinds)
        assert conduct.estimate(crew) == 2 * sum(kinds.values()), "two seeds of each"


def test_so_many_run_side_by_side_as_the_memory_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dans_lab.cli.study import _that_fit

    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    monkeypatch.setattr(machine, "cores", lambda: 4)
    with conducting(read_plan(study_file(tmp_path))) as conduct:
        need = conduct.memory() / 1e9
        for gigabytes, size in ((1000, 4), (need / 0.8 * 2.5, 2), (need / 2, 1)):
            monkeypatch.setenv("DANS_MEMORY_GB", str(gigabytes))
            assert _that_fit(conduct) == size
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and said[0].startswith("2 runs at a time: one needs up to ")


def test_without_processes_every_run_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dans_lab.study.crew import Processes
    from dans_lab.study.orders import Order

    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    order = Order(kind="time", run="a", config={}, study="s", source="nations", root=str(tmp_path))
    with Processes(2) as crew:
        (reply,) = (reply for reply in crew.carry_out([order]) if reply is not None)
    assert "no process could be started" in reply.error


@pytest.mark.parametrize("name", [file.stem for file in sorted(SHIPPED.glob("*.toml"))])
def test_the_shipped_studies_can_be_read(name: str) -> None:
    plan = read_plan(name)
    assert (len(plan.seeds) >= 5 or plan.budget) and plan.question.endswith("?")
    for planned in plan.jobs:
        assert run_id_error(planned.run) is None
        assert planned.run == plan.run_id(planned.config)
    for part in plan.parts:
        assert all(len(plan.runs_of(cell)) == len(plan.seeds) for cell in part.cells)
        assert part.reference in part.rows.values


@pytest.mark.parametrize("folder", shipped_studies(), ids=lambda path: path.name)
def test_shipped_studies_are_read_with_what_they_were_run_with(folder: Path) -> None:
    """Neither the committed tables nor the files they came from depend on a recipe that came later."""
    study = Study(folder)
    # The first of them were made before settings were chosen by size.
    assert study.meta.made_for in (0, study.meta.counts.get("train"))
    assert {planned.run for planned in study.plan.jobs} == study.finished()
    # The tables of UMLS were made before counts were kept.
    again = read_plan(folder.name).made_for(study.meta.counts.get("train", 5_216))
    assert {planned.run for planned in again.jobs} == study.finished()


# A file as short as can be; what it leaves open is what matters here.
OPEN = """
title = "Open"
dataset = "{folder}"
seeds = 1
[settings]
dim = 8
layers = 1
negatives = 12
epochs = 1
[grid]
sampler = ["dans", "uniform", "nscaching", "one-vs-all"]
"""
TRAIN = ["--epochs", "1", "--set", "dim=8", "--set", "layers=1", "--set", "negatives=12"]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a graph of more training triplets than small ones have."""
    folder = tmp_path_factory.mktemp("data") / "large"
    large_run.graph(folder, 3_000, 60_000, 5)
    return folder


def test_a_study_that_sets_nothing_trains_what_train_would(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    text = f'title = "Nothing set"\ndataset = "{large}"\n[grid]\nsampler = {sorted(SAMPLERS)}\n'
    plan = parse_plan(text, "nothing", "nothing.toml").made_for(86_835)
    for planned in plan.jobs:
        assert planned.config == config_for(
            86_835, {"sampler": planned.config.sampler, "seed": planned.config.seed}
        )
    assert {planned.config.epochs for planned in plan.jobs} == {150} and plan.by_size["epochs"] == {150: 12}
    assert plan.by_size["negatives"] == {200: 3}, "samplers that share their negatives"
    assert plan.made_for(0) == parse_plan(text, "nothing", "nothing.toml")
    # And through the two commands, as far as the settings.
    file = tmp_path / "open.toml"
    file.write_text(OPEN.format(folder=large))
    with conducting(read_plan(file)) as conduct:
        configs = {planned.config.sampler: planned.config for planned in conduct.plan.jobs}
        assert conduct.study.meta.made_for == len(conduct.kg.train) > 50_000
        told = facts.by_size(conduct.plan)
    assert main(["train", "--dataset", str(large), "--sampler", "uniform", *TRAIN, "--out", "one"]) == 0
    assert Run(tmp_path / "one").config == configs["uniform"]
    assert "batch_size=15000" in capsys.readouterr().out
    assert "batch_size = 15000" in told and "shared = 100 in 2 of 4 settings" in told


def test_a_study_goes_on_with_the_rule_it_was_begun_with(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    file = tmp_path / "open.toml"
    file.write_text(OPEN.format(folder=large))
    with conducting(read_plan(file)) as conduct:
        begun = conduct.plan
    with conducting(read_plan(file)) as conduct:
        assert conduct.plan == begun == Study(tmp_path / "studies" / "open").plan
    about = tmp_path / "studies" / "open" / "study.json"
    before = {name: value for name, value in json.loads(about.read_text()).items() if name != "made_for"}
    about.write_text(json.dumps(before))
    with conducting(read_plan(file)) as conduct:
        assert conduct.plan == read_plan(file) == Study(tmp_path / "studies" / "open").plan
        assert {planned.config.batch_size for planned in conduct.plan.jobs} == {Config().batch_size}


def test_a_study_at_odds_with_the_recipe_says_so_before_anything_is_written(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    file = tmp_path / "odds.toml"
    file.write_text(OPEN.format(folder=large).replace("negatives = 12", "negatives = 10"))
    plan = read_plan(file)
    with (
        pytest.raises(InputError, match=r"study odds: pathway_fakes = 5 .* chosen for a graph of"),
        conducting(plan),
    ):
        pass
    assert not (tmp_path / "studies").exists()


def test_the_main_table_is_twelve_samplers_by_three_decoders_at_one_budget() -> None:
    plan = read_plan("main")
    (part,) = plan.parts
    assert len(part.rows.values) == 12 and [len(axis.values) for axis in part.columns] == [3]
    assert len(plan.jobs) == 12 * 3 * len(plan.seeds)
    budgets = {
        (planned.config.epochs, planned.config.negatives, planned.config.batch_size) for planned in plan.jobs
    }
    assert len(budgets) == 1, "all samplers have the same budget"


def test_parts_share_runs_that_are_the_same() -> None:
    text = """
    title = "Two sweeps"
    seeds = 1
    [[part]]
    title = "N_s"
    grid = { negatives = [10, 20] }
    [[part]]
    title = "σ"
    grid = { sigma = [0.1, 0.5] }
    """
    plan = parse_plan(text, "sweeps", "sweeps.toml")
    assert [len(part.cells) for part in plan.parts] == [2, 2]
    assert len(plan.jobs) == 3
    shared = plan.parts[0].cell({"negatives": 20}), plan.parts[1].cell({"sigma": 0.5})
    assert plan.runs_of(shared[0]) == plan.runs_of(shared[1])


def test_a_part_has_the_note_of_the_file_but_for_one_of_its_own() -> None:
    text = """
    title = "Two sweeps"
    note = "Said of all."
    seeds = 1
    [[part]]
    title = "N_s"
    grid = { negatives = [10, 20] }
    [[part]]
    title = "σ"
    note = "Said of σ."
    grid = { sigma = [0.1, 0.5] }
    """
    plan = parse_plan(text, "sweeps", "sweeps.toml")
    assert [part.note for part in plan.parts] == ["Said of all.", "Said of σ."]


def test_variants_multiply_with_the_grid_and_take_presets() -> None:
    text = """
    title = "t"
    preset = "paper"
    [grid]
    decoder = ["distmult", "rotate"]
    [[variant]]
    name = "as it is"
    [[variant]]
    name = "faults"
    preset = "released-faults"
    epochs = 100
    """
    (part,) = parse_plan(text, "t", "t.toml").parts
    assert part.rows.name == VARIANT and len(part.cells) == 4
    faults = part.cell({VARIANT: "faults", "decoder": "rotate"}).config
    assert (faults.film, faults.aux_weight, faults.pathways) == ("frozen", 0.0, "G_R")
    assert (faults.epochs, faults.decoder, faults.sigma) == (100, "rotate", 0.01)


def test_a_variant_has_its_own_epochs_and_batches_and_the_study_a_budget() -> None:
    plan = small_plan(EQUAL_TIME, "equal")
    assert plan.budget.startswith("Each run may train for about a minute")
    spent = {cell.labels[VARIANT]: cell.config for cell in plan.parts[0].cells}
    assert {name: config.epochs for name, config in spent.items()} == {
        "DANS": 60,
        "Uniform": 200,
        "NSCaching": 120,
    }
    assert spent["Uniform"].batch_size == 500 and spent["DANS"].batch_size != 500
    assert small_plan().budget == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title = ", "is not TOML"),
        (
            'title = "t"\nbudget = 600\n[grid]\nsampler = ["uniform"]',
            "budget: input should be a valid string",
        ),
        ('dataset = "umls"', "title is missing"),
        ('title = "t"', "nothing to compare"),
        ('title = "t"\n[grid]\nsampler = []', "must be a list of different values"),
        ('title = "t"\n[grid]\nsampler = ["uniform", "uniform"]', "must be a list of different values"),
        ('title = "t"\n[grid]\nsampler = ["unifrom"]', "sampler = 'unifrom': must be one of dans, uniform"),
        ('title = "t"\n[grid]\nsamplers = ["uniform"]', "no setting 'samplers'; did you mean 'sampler'"),
        ('title = "t"\n[grid]\nseed = [1]', "seed is given by seeds"),
        ('title = "t"\n[grid]\nvariant = ["a"]', "variant is no setting"),
        ('title = "t"\nseeds = 10000000000\n[grid]\nsampler = ["uniform"]', "more than 10,000 runs"),
        (
            f"title = 't'\n[grid]\nlr = {LONG}\nl2 = {LONG}\nsigma = {LONG}",
            "asks for 5,000,000 runs, more than 10,000",
        ),
        (f"title = 't'\nseeds = 10_000\n[grid]\nlr = {LONG}\nl2 = {LONG}", "asks for 100,000,000 runs"),
        ("title = 't'\n" + f"[[part]]\n[part.grid]\nlr = {LONG}\n" * 30, "asks for 15,000 runs"),
        ('title = "t"\nseeds = 0\n[grid]\nsampler = ["uniform"]', "seeds = 0"),
        ('title = "t"\nseeds = [1, 1]\n[grid]\nsampler = ["uniform"]', "list of different seeds"),
        ('title = "t"\nseeds = "many"\n[grid]\nsampler = ["uniform"]', "seeds"),
        ('title = "t"\npreset = "x"\n[grid]\nsampler = ["uniform"]', "preset = 'x': must be one of default"),
        ('title = "t"\nsede = 3\n[grid]\nsampler = ["uniform"]', "no field 'sede'; did you mean 'seeds'"),
        ('title = "t"\n[set]\nepochs = 3\n[grid]\nsampler = ["uniform"]', "'set'; did you mean [settings]?"),
        ('title = "t"\n[setings]\nepochs = 3\n[grid]\nsampler = ["uniform"]', "did you mean [settings]?"),
        ('title = "t"\n[[variants]]\nname = "a"', "did you mean [[variant]]?"),
        ('name = "t"\n[grid]\nsampler = ["uniform"]', "no field 'name'; did you mean 'title'?"),
        ('title = "t"\nepochs = 3\n[grid]\nsampler = ["uniform"]', "epochs is a setting, which stands below"),
        ('title = "t"\nzebra = 3\n[grid]\nsampler = ["uniform"]', "the fields are title, note, settings"),
        ('title = "t"\n[grid]\nsampler = ["uniform"]\n[table]\nrow = "x"', "did you mean 'rows'?"),
        ('title = "t"\n[settings]\nepochs = 0\n[grid]\nsampler = ["uniform"]', "epochs = 0: must be"),
        ('title = "t"\n[grid]\nsampler = ["uniform"]\n[table]\nrows = "decoder"', "rows = 'decoder'"),
        ('title = "t"\n[grid]\nsampler = ["uniform"]\n[table]\nreference = "dans"', "reference = 'dans'"),
        ('title = "t"\n[grid]\nsampler = ["uniform"]\n[table]\nfigure = "pie"', "figure"),
        ('title = "t"\n[[variant]]\nfilm = "none"', "a variant needs a name"),
        ('title = "t"\n[[variant]]\nname = "a"\n[[variant]]\nname = "a"', "two variants have the name"),
        ('title = "t"\n[[part]]\ntitle = "p"\ngrid = {sigma = [-1]}', "part 'p': sigma = -1"),
        ('title = "t"\nseeds = 100000\n[grid]\nsampler = ["uniform"]', "more than 10,000"),
    ],
)
def test_a_mistake_in_a_study_file_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(InputError) as raised:
        read_plan(file)
    assert words in str(raised.value) and str(file) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-study"], "there is no study 'no-such-study'"),
        (["./none.toml"], "there is no study file none.toml"),
        (["main", "--workers", "0"], "--workers 0: must be a whole number"),
        (["main", "--workers", "2", "--ray", "auto"], "leave it out"),
        pytest.param(
            ["main", "--ray", "127.0.0.1:1"],
            "there is no Ray cluster at '127.0.0.1:1'",
            marks=[pytest.mark.ray, needs_ray],
        ),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    assert main(["study", *arguments]) == 2
    out, err = capsys.readouterr()
    assert words in err and err.count("\n") == 1 and not out


def test_an_unreadable_name_or_file(tmp_path: Path) -> None:
    study_file(tmp_path).rename(tmp_path / "Big Name.toml")
    with pytest.raises(InputError, match="cannot name a study"):
        read_plan(tmp_path / "Big Name.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        read_plan(tmp_path / "binary.toml")
    with pytest.raises(InputError, match="cannot be read"):
        read_plan(tmp_path)


def test_a_damaged_record_is_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "studies" / "small"
    (folder / "records").mkdir(parents=True)
    (folder / "records" / "a.json").write_text('{"run": "a"}')
    with pytest.raises(InputError, match=r"a\.json: seed: Field required"):
        Study(folder).records()


def ranking(epoch: int, mrr: float) -> Ranking:
    return Ranking(epoch, "valid", mrr, 0.0, 0.0, 0.0, 0.0, False)


def losses(epoch: int, warm_up: bool, **values: float) -> Losses:
    return Losses(epoch=epoch, base=1.0, warm_up=warm_up, seconds=0.1, **values)


def test_convergence_of_known_events() -> None:
    level = [ranking(epoch, 0.5 if epoch > 3 else 0.1 * epoch) for epoch in range(1, 41)]
    still = convergence(level)
    assert set(still) == {"oscillation", "fall", "epochs_to_level"}
    assert still["oscillation"] == pytest.approx(0) and still["fall"] == 0 and still["epochs_to_level"] == 4
    shaking = [ranking(epoch, 0.5 + (0.1 if epoch % 2 else -0.1)) for epoch in range(1, 41)]
    assert convergence(shaking)["oscillation"] == pytest.approx(0.1, rel=0.2)
    assert convergence(shaking)["fall"] == pytest.approx(0.2)
    rising = [ranking(epoch, epoch / 100) for epoch in range(1, 41)]
    assert convergence(rising)["oscillation"] < 0.01, "a trend is no oscillation"


def test_convergence_of_the_game() -> None:
    collapsed = replace(SOUND, mean_cosine=0.99)
    checks = {1: collapsed, 2: collapsed, 3: SOUND, 4: SOUND}
    events: list[Any] = []
    for epoch, state in checks.items():
        events.append(losses(epoch, epoch == 1, g_e=1.0, g_r=2.0, d_real=0.9, d_fake_e=0.1, d_fake_r=0.3))
        events.append(Diagnostics(epoch, 1.0, 0.0, 0.1, 0.1, g_e=state, g_r=SOUND, num_entities=100))
    found = convergence(events)
    assert set(found) <= set(FIGURES)
    assert found["collapse"] == pytest.approx(1 / 3), "the check in the warm-up does not count"
    assert found["false_negatives"] == pytest.approx(SOUND.false_negatives)
    assert found["balance"] == pytest.approx(0.7) and found["hardness"] == pytest.approx(
        SOUND.outscores_random
    )
    assert found["game_oscillation"] == pytest.approx(0)


def test_swing_does_not_need_many_values() -> None:
    assert swing(np.array([])) == 0 and swing(np.array([1.0])) == 0 and swing(np.array([1.0, 2.0])) == 0
    for n in range(3, 40):
        assert swing(np.full(n, 0.3)) == pytest.approx(0, abs=1e-12)
        assert np.isfinite(swing(np.arange(n, dtype=float)))


def test_curves_keep_at_most_a_hundred_epochs_and_the_last() -> None:
    events: list[Any] = [ranking(epoch, 0.5) for epoch in range(2, 602, 2)]
    events += [losses(epoch, False, g_e=1.0) for epoch in range(1, 601)]
    kept = curves(events)
    assert len(kept["epoch"]) <= 100 and kept["epoch"][-1] == 600
    assert set(kept) == {"epoch", "seconds", "valid_mrr", "base", "g_e"}
    assert kept["seconds"] == pytest.approx([0.1 * epoch for epoch in kept["epoch"]], rel=1e-5)
    assert all(len(column) == len(kept["epoch"]) for column in kept.values())
    assert curves([]) == {}


def test_curves_of_the_game_keep_the_round_before_where_an_epoch_has_none() -> None:
    """Rankings at even epochs would else miss rounds that fall on odd ones."""
    events: list[Any] = [ranking(epoch, 0.5) for epoch in range(2, 32, 2)]
    events += [
        losses(epoch, epoch < 7, g_e=float(epoch) if epoch % 10 == 7 else None) for epoch in range(1, 31)
    ]
    kept = curves(events)
    expected = [None] * 3 + [7.0] * 5 + [17.0] * 5 + [27.0] * 2
    assert dict(zip(kept["epoch"], kept["g_e"], strict=True)) == dict(
        zip(range(2, 32, 2), expected, strict=True)
    )


def test_settings_of_a_config_differ_from_those_of_another_in_their_run_id() -> None:
    plan = read_plan("ablation")
    ids = {plan.run_id(Config(**values)) for values in ({}, {"seed": 1}, {"sigma": 0.4}, {"film": "none"})}
    assert len(ids) == 4
