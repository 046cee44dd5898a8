"""What each sampler declares: read without importing it, against its class, and its settings against what it reads."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from dans_core.config import OF_SAMPLERS, Config, choices, matters, parse
from dans_core.declaration import Declaration, Work
from dans_core.declared import DECLARED, import_registered
from dans_core.samplers.catalogue import class_of, register
from dans_core.samplers.contract import Sampler
from dans_data.errors import InputError
from dans_lab.names import SAMPLERS, SAMPLERS_ABOUT

CORE = Path(inspect.getfile(Config)).parent
EVERYWHERE = {name for name in Config.model_fields if all(matters(name, sampler) for sampler in DECLARED)}


def read_in(*files: Path) -> set[str]:
    """Every setting that these files read, as `config.x` or `self.config.x`; properties stand for what they read."""
    names = set()
    for file in files:
        for node in _trained(file):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
                of = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
                if of in ("config", "_config"):
                    names.add(node.attr)
    if "fakes" in names:
        names |= {"negatives", "random_negatives", "pathways"}
    if "waits" in names:
        names.add("warmup_epochs")
    return names & Config.model_fields.keys()


def _trained(file: Path) -> Iterator[ast.AST]:
    """The parts of a file that train: all but what it declares and the functions of its cost."""
    for statement in ast.parse(file.read_text()).body:
        is_declaration = (
            isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "DECLARATION"
        )
        is_cost = isinstance(statement, ast.FunctionDef) and "work: Work" in ast.unparse(statement.args)
        if not is_declaration and not is_cost:
            yield from ast.walk(statement)


def code_of(sampler: str) -> list[Path]:
    """The files of its class and of those that it inherits from."""
    kinds = [kind for kind in class_of(sampler).__mro__ if issubclass(kind, Sampler) and kind is not Sampler]
    return [Path(inspect.getfile(kind)) for kind in kinds]


def said_of(sampler: str) -> set[str]:
    return {name for name in Config.model_fields if matters(name, sampler)} - EVERYWHERE


@pytest.mark.parametrize("sampler", sorted(set(DECLARED) - {"dans", "kbgan"}))
def test_a_sampler_uses_the_settings_that_its_code_reads(sampler):
    assert said_of(sampler) == read_in(*code_of(sampler)) - EVERYWHERE


def test_kbgan_also_waits_as_a_uniform_sampler():
    rehearses = {"warmup_epochs"} | read_in(*code_of("uniform"))
    assert said_of("kbgan") == (read_in(*code_of("kbgan")) | rehearses) - EVERYWHERE


def test_dans_is_spread_over_more_files():
    """Its random part is drawn as uniform negatives are."""
    game = read_in(*code_of("dans"), *code_of("uniform"), CORE / "gan.py", CORE / "training.py")
    assert said_of("dans") == game - EVERYWHERE


def test_settings_that_matter_to_all_are_read_by_no_sampler_alone():
    """But for those that the samplers with a game of their own share with the base model."""
    alone = {name for sampler in DECLARED for name in read_in(*code_of(sampler))} & EVERYWHERE
    assert alone <= {"clip_norm", "lr"}


def test_every_sampler_has_a_title_and_a_sentence():
    assert choices("sampler") == (*DECLARED,) == (*SAMPLERS,) == (*SAMPLERS_ABOUT,)
    assert len({*SAMPLERS.values()}) == len(SAMPLERS)
    for name, declared in DECLARED.items():
        assert declared.name == name and set(declared.settings) <= OF_SAMPLERS
        assert declared.about.endswith(".") and (declared.fakes or declared.no_fakes.endswith("."))


# --- what is read of a file is what it says ----------------------------------------------------------------------

WORKS = [
    Work(135, 46, 5_216, 1_560, 18_225, 10_432, 1_560, 135),
    Work(9_000, 3, 70_000, 9_001, 1e6, 500, 99.5, 70),
]
SETTINGS = [
    {"negatives": 8},
    {
        "decoder": "rotate",
        "walks": 0,
        "pathways": "G_R",
        "film": "none",
        "negatives": 33,
        "batch_size": 1_000,
    },
    {"conditional_d": True, "random_negatives": False, "dim": 64, "negatives": 12, "candidates": 7, "k_d": 3},
    {"negatives": 3, "pathway_fakes": 4},
    {"negatives": 9, "pathway_fakes": 5, "walks": 3},
]


def said(declared: Declaration) -> list[object]:
    """All that a declaration says, its formulas by what they give for several settings and sizes."""
    # Settings that the sampler refuses are among them, which `Config` itself would not take.
    asked = [Config.model_construct(sampler=declared.name, **values) for values in SETTINGS]
    found: list[object] = [declared.draws, declared.filters, declared.waits, declared.no_fakes]
    for field in dataclasses.fields(declared):
        value = getattr(declared, field.name)
        found.append([value(config) for config in asked] if callable(value) else value)
    found.pop()
    for field in dataclasses.fields(declared.cost):
        value = getattr(declared.cost, field.name)
        found.append(
            [value(config, work) for config in asked for work in WORKS] if callable(value) else value
        )
    return found


@pytest.mark.parametrize("sampler", DECLARED)
def test_what_is_read_without_importing_a_sampler_is_what_it_declares(sampler):
    kind = class_of(sampler)
    assert "declaration" in vars(kind) and kind.declaration is not DECLARED[sampler]
    assert said(kind.declaration) == said(DECLARED[sampler])


def test_a_name_that_no_sampler_declares_gets_one_sentence():
    with pytest.raises(InputError) as refused:
        parse({"sampler": "uniforme"})
    names = ", ".join(DECLARED)
    assert str(refused.value) == f"sampler = 'uniforme': must be one of {names}; did you mean 'uniform'?"
    with pytest.raises(InputError, match="sampler = 3: must be one of dans, "):
        parse({"sampler": 3})


@pytest.mark.parametrize(
    ("name", "reads", "defaults", "words"),
    [
        ("dans", ("negatives",), {}, "there is a sampler 'dans' already"),
        ("My sampler", ("negatives",), {}, "a-z, 0-9 and hyphens, not 'My sampler'"),
        (
            "mine",
            ("negatives", "negative", "lr"),
            {},
            "mine declares lr, negative, which is no setting of samplers",
        ),
        (
            "mine",
            ("negatives",),
            {"lr": 0.1, "rate": 0.1},
            "mine has a default for rate, which is no setting",
        ),
    ],
)
def test_what_cannot_be_registered(name, reads, defaults, words):
    class Mine(class_of("uniform")):
        declaration = Declaration(name=name, title="Mine", about="Mine.", settings=reads, defaults=defaults)

    before = list(DECLARED)
    with pytest.raises(ValueError, match=words):
        register(Mine)
    assert list(DECLARED) == before


def test_a_module_of_samplers_that_is_not_there_gets_one_sentence(monkeypatch):
    monkeypatch.setenv("DANS_SAMPLERS", "no_such_module")
    with pytest.raises(InputError, match="DANS_SAMPLERS names 'no_such_module', which cannot be imported"):
        import_registered()
    with pytest.raises(InputError, match="no_such_module"):
        parse({"sampler": "theirs"})
