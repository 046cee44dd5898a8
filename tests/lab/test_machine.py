"""Which machine this is, told without torch and as torch sees it."""

from __future__ import annotations

import platform
import sys

import pytest
import torch

from dans_lab.runs import machine


@pytest.fixture
def told(monkeypatch, tmp_path):
    """Make the system tell of a processor."""

    def tell(text: str) -> None:
        (tmp_path / "cpuinfo").write_text(text)
        machine._fields.cache_clear()

    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    monkeypatch.delenv(machine.THREADS_VARIABLE, raising=False)
    machine._fields.cache_clear()
    yield tell
    machine._fields.cache_clear()


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="elsewhere there is one kind"
)
def test_the_instruction_set_is_the_one_torch_uses():
    assert machine.instruction_set() == torch.backends.cpu.get_cpu_capability()


def cpuinfo(flags: str, name: str = "Some CPU") -> str:
    core = f"model name\t: {name}\ncpu family\t: 25\nmodel\t\t: 17\nstepping\t: 1\nflags\t\t: {flags}\n"
    return f"processor\t: 0\n{core}\nprocessor\t: 1\n{core.replace(name, 'Another')}"


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("sse fma avx2 avx512f avx512vl avx512bw avx512dq", "AVX512"),
        ("sse fma avx2 avx512f", "AVX2"),
        ("sse avx2", "DEFAULT"),
    ],
)
def test_a_machine_is_named_by_all_that_its_speed_hangs_on(told, monkeypatch, flags, found):
    told(cpuinfo(flags))
    assert machine.processor() == "Some CPU"
    assert machine.name() == f"Some CPU 25/17/1, {found}, 1 thread"
    assert machine.name(4) == f"Some CPU 25/17/1, {found}, 4 threads"
    monkeypatch.setenv(machine.THREADS_VARIABLE, "2")
    assert machine.name().endswith(", 2 threads")
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    assert machine.instruction_set() == "DEFAULT"


def test_a_system_that_tells_little_has_a_name_as_well(told):
    assert machine.name() == f"{platform.processor() or platform.machine()}, {platform.machine()}, 1 thread"
    told("processor\t: 0\nBogoMIPS\t: 50.00\n")
    assert machine.instruction_set() == platform.machine()
