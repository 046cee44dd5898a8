"""Where a run is trained and how exact its products are: chosen, recorded, told, and without a say in its numbers."""

from __future__ import annotations

import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from dans_core import Config, InputError, KnowledgeGraph, Trainer, evaluate
from dans_core.device import CPU, DEVICE_VARIABLE, choose, name_of, on_cpu
from dans_core.events import Losses
from dans_lab.cli import main
from dans_lab.runs import machine, process
from dans_lab.runs.records import Meta
from dans_lab.runs.run import Run
from dans_lab.runs.writer import RunWriter

ROOT = Path(__file__).resolve().parents[2]
GPU = torch.cuda.is_available()
without_gpu = pytest.mark.skipif(GPU, reason="there is a GPU")


@pytest.fixture
def precision():
    """The precision of this process as it is by default, and so again afterwards."""
    process.prepare(1)
    yield
    process.prepare(1)


@pytest.mark.long
def test_all_of_it_works_on_a_device_that_is_not_the_cpu():
    """Every sampler and decoder, ranking, diagnostics, checkpoints: on a device that refuses what a GPU refuses."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-n0",
        "-p",
        "no:cacheprovider",
        "tests/core/on_elsewhere.py",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_auto_is_what_the_environment_says_and_else_what_there_is(monkeypatch):
    assert choose() == choose("auto") == CPU
    monkeypatch.delenv(DEVICE_VARIABLE)
    assert choose() == (torch.device("cuda", 0) if GPU else CPU)
    monkeypatch.setenv(DEVICE_VARIABLE, "gpu")
    with pytest.raises(InputError, match="DANS_DEVICE = 'gpu': must be auto, cpu, cuda"):
        choose()
    # Asked for by name, what the environment says does not matter.
    assert choose("cpu") == CPU
    assert choose(torch.device("meta")).type == "meta"


@pytest.mark.parametrize(
    "asked", ["gpu", "CUDA", "cuda:", "cuda:-1", "cuda:x", "cuda:1234", "mps", "", "cpu:0", "cuda "]
)
def test_other_words_are_refused(asked):
    with pytest.raises(InputError, match="must be auto, cpu, cuda"):
        choose(asked)


@without_gpu
def test_a_gpu_that_is_not_there_is_refused():
    for asked in ("cuda", "cuda:1"):
        with pytest.raises(InputError, match=f"device = '{asked}': .*; leave it out, or say cpu"):
            choose(asked)


def test_a_state_comes_to_the_cpu_as_it_is():
    tensor = torch.ones(2)
    state = OrderedDict(a=tensor, b=[1, (tensor, None)], c={"d": "e"})
    state._metadata = "kept"  # type: ignore[attr-defined]
    moved = on_cpu(state)
    assert type(moved) is OrderedDict and moved == state and moved is not state
    assert moved["a"] is tensor and moved["b"][1][0] is tensor and moved._metadata == "kept"


def test_products_are_float32_unless_asked(precision):
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.allow_tf32 = True
    assert process.precision() == "bf16"
    process.prepare(1)
    assert process.precision() == "float32"
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.backends.cuda.matmul.allow_tf32 and not torch.backends.cudnn.allow_tf32
    process.prepare(1, "tf32")
    assert process.precision() == "tf32" and torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize("asked", ["bf16", "float16", "", "FLOAT32"])
def test_other_precisions_are_refused(precision, asked):
    with pytest.raises(InputError, match="must be float32 or tf32"):
        process.prepare(1, asked)
    assert process.precision() == "float32"


@pytest.mark.parametrize(
    ("variable", "value"), [("NVIDIA_TF32_OVERRIDE", "1"), ("ONEDNN_DEFAULT_FPMATH_MODE", "bf16")]
)
def test_the_environment_does_not_lower_the_precision_unseen(precision, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(InputError, match=variable):
        process.prepare(1)


def test_a_run_on_the_cpu_is_recorded_so(tmp_path, nations, monkeypatch, capsys, precision):
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    settings = ["--set", "dim=8", "--epochs", "2", "--sampler", "uniform", "--dataset", "nations"]
    assert main(["train", "--out", "one", "--device", "cpu", *settings]) == 0
    assert "seed 0, on cpu, float32\n" in capsys.readouterr().out
    meta = Run(tmp_path / "one").meta
    assert (meta.device, meta.precision) == ("cpu", "float32")
    assert meta.machine == machine.name(torch.get_num_threads())
    # Runs of earlier versions do not say.
    earlier = meta.model_dump(exclude={"device", "precision", "machine"})
    assert Meta(**earlier) == meta.model_copy(update={"machine": ""})


def test_the_devices_of_a_run_that_goes_on_are_all_told(tmp_path):
    with RunWriter.create(tmp_path, "run", Config(), "kg", "hash", "nowhere") as writer:
        stored = (writer.path / "config.json").read_bytes()
        writer.trains_on("cpu", "float32", 1, goes_on=False)
        assert (writer.path / "config.json").read_bytes() == stored
        writer.trains_on("cuda:0 (A)", "tf32", 2, goes_on=False)
        writer.trains_on("cpu", "float32", 1, goes_on=True)
        writer.trains_on("cpu", "float32", 1, goes_on=True)
        meta = writer.run.meta
        assert (meta.device, meta.precision) == ("cuda:0 (A), then cpu", "tf32, then float32")
        assert meta.machine == f"{machine.name(2)}, then {machine.name(1)}"
        assert writer.run.config == Config()
        writer.trains_on("cpu", "float32", 1, goes_on=False)
        assert writer.run.meta.device == "cpu" and writer.run.meta.machine == machine.name(1)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["train", "--device", "gpu"], "device = 'gpu': must be"),
        (["train", "--precision", "bf16"], "half precision is not offered"),
        (["train", "--precision", "tf32"], "'tf32' is for GPUs"),
        (["study", "main", "--device", "gpu"], "device = 'gpu': must be"),
        (["study", "main", "--device", "cpu", "--ray", "auto"], "--device is for processes of this machine"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, monkeypatch, capsys, precision, words, complaint):
    monkeypatch.setenv("DANS_RUNS_DIR", str(tmp_path))
    assert main(words) == 2
    error = capsys.readouterr().err
    assert complaint in error and error.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_a_trainer_seeds_nobody_elses_numbers(nations):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    trainer = Trainer(nations, Config(sampler="dans", epochs=1))
    assert (trainer.device, trainer.device_name) == (CPU, "cpu")
    assert torch.equal(torch.random.get_rng_state(), before)


# With a GPU.


def _run(kg: KnowledgeGraph, sampler: str, device: str) -> tuple[Trainer, list[float]]:
    settings = Config(sampler=sampler, epochs=4, warmup_epochs=1, dim=16, negatives=8, diagnose_every=2)
    trainer = Trainer(kg, settings, device)
    return trainer, [event.base for event in trainer if isinstance(event, Losses)]


# Those of the others that choose by scores may choose otherwise where two are equal but for their rounding.
_BY_SCORES = ("nscaching", "kbgan", "mcns")


@pytest.mark.cuda
@pytest.mark.skipif(not GPU, reason="needs a GPU")
@pytest.mark.parametrize(
    "sampler", ["dans", "uniform", "self-adversarial", "popularity", "sans", "cake-style", *_BY_SCORES]
)
def test_a_gpu_comes_to_the_same_numbers(nations, sampler):
    (here, losses), (there, theirs) = (_run(nations, sampler, place) for place in ("cpu", "cuda"))
    steps = 1 if sampler in _BY_SCORES else None
    assert theirs[:steps] == pytest.approx(losses[:steps], rel=1e-4)
    if steps is None:
        assert evaluate(there.model, nations).mrr == pytest.approx(
            evaluate(here.model, nations).mrr, rel=1e-2
        )
    assert name_of(there.device).startswith("cuda:0 (")
    assert all(not tensor.is_cuda for tensor in there.state_dict()["networks"]["model"].values())


@pytest.mark.cuda
@pytest.mark.skipif(not GPU, reason="needs a GPU")
@pytest.mark.parametrize(("begins", "goes_on"), [("cuda", "cpu"), ("cpu", "cuda")])
def test_a_run_goes_on_beside_a_gpu(nations, begins, goes_on):
    settings = Config(epochs=4, warmup_epochs=1, dim=16, negatives=8)
    whole = [event.base for event in Trainer(nations, settings, "cpu") if isinstance(event, Losses)]
    first = Trainer(nations, settings, begins)
    found = []
    while first.epoch < 2:
        found += [event.base for event in first.step().events if isinstance(event, Losses)]
    second = Trainer(nations, settings, goes_on)
    second.load_state_dict(first.state_dict())
    found += [event.base for event in second if isinstance(event, Losses)]
    assert found == pytest.approx(whole, rel=1e-4)
