"""Which sampler uses which setting: what `Config` says of it, against what the code of each sampler reads."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import get_args

import pytest

from dans_core.config import Config, matters
from dans_core.names import SAMPLERS as TITLES
from dans_core.names import SAMPLERS_ABOUT
from dans_core.samplers.catalogue import SAMPLERS
from dans_core.samplers.contract import Sampler

CORE = Path(inspect.getfile(Config)).parent
EVERYWHERE = {name for name in Config.model_fields if all(matters(name, sampler) for sampler in SAMPLERS)}


def read_in(*files: Path) -> set[str]:
    """Every setting that these files read, as `config.x` or `self.config.x`; properties stand for what they read."""
    names = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
                of = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
                if of in ("config", "_config"):
                    names.add(node.attr)
    if "fakes" in names:
        names |= {"negatives", "random_negatives", "pathways"}
    if "waits" in names:
        names.add("warmup_epochs")
    return names & Config.model_fields.keys()


def code_of(sampler: str) -> list[Path]:
    """The files of its class and of those that it inherits from."""
    kinds = [kind for kind in SAMPLERS[sampler].__mro__ if issubclass(kind, Sampler) and kind is not Sampler]
    return [Path(inspect.getfile(kind)) for kind in kinds]


def said_of(sampler: str) -> set[str]:
    return {name for name in Config.model_fields if matters(name, sampler)} - EVERYWHERE


@pytest.mark.parametrize("sampler", sorted(set(SAMPLERS) - {"dans", "kbgan"}))
def test_a_sampler_uses_the_settings_that_its_code_reads(sampler):
    assert said_of(sampler) == read_in(*code_of(sampler)) - EVERYWHERE


def test_kbgan_also_waits_as_a_uniform_sampler():
    rehearses = {"warmup_epochs"} | read_in(*code_of("uniform"))
    assert said_of("kbgan") == (read_in(*code_of("kbgan")) | rehearses) - EVERYWHERE


def test_dans_is_spread_over_more_files():
    """`Config.fakes` reads `pathway_fakes` for it, and its random part is drawn as uniform negatives are."""
    game = read_in(*code_of("dans"), *code_of("uniform"), CORE / "gan.py", CORE / "training.py")
    assert said_of("dans") == (game | {"pathway_fakes"}) - EVERYWHERE


def test_settings_that_matter_to_all_are_read_by_no_sampler_alone():
    """But for those that the samplers with a game of their own share with the base model."""
    alone = {name for sampler in SAMPLERS for name in read_in(*code_of(sampler))} & EVERYWHERE
    assert alone <= {"clip_norm", "lr"}


def test_every_sampler_has_a_title_and_a_sentence():
    names = list(get_args(Config.model_fields["sampler"].annotation))
    assert names == list(SAMPLERS) == list(TITLES) == list(SAMPLERS_ABOUT)
    assert all(about.endswith(".") for about in SAMPLERS_ABOUT.values())
    for name, field in Config.model_fields.items():
        assert set(field.json_schema_extra["samplers"]) <= set(names), name
