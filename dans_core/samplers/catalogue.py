"""Every sampler by its name in the settings."""

from __future__ import annotations

from dans_core.samplers.baselines.bernoulli import Bernoulli
from dans_core.samplers.baselines.cake_style import CakeStyle
from dans_core.samplers.baselines.kbgan import Kbgan
from dans_core.samplers.baselines.mcns import Mcns
from dans_core.samplers.baselines.nscaching import NSCaching
from dans_core.samplers.baselines.one_vs_all import OneVsAll
from dans_core.samplers.baselines.popularity import Popularity
from dans_core.samplers.baselines.sans import Sans
from dans_core.samplers.baselines.self_adversarial import SelfAdversarial
from dans_core.samplers.baselines.smile_style import SmileStyle
from dans_core.samplers.contract import Sampler
from dans_core.samplers.dans import Dans
from dans_core.samplers.uniform import Uniform

SAMPLERS: dict[str, type[Sampler]] = {
    "dans": Dans,
    "uniform": Uniform,
    "popularity": Popularity,
    "bernoulli": Bernoulli,
    "self-adversarial": SelfAdversarial,
    "nscaching": NSCaching,
    "kbgan": Kbgan,
    "mcns": Mcns,
    "sans": Sans,
    "cake-style": CakeStyle,
    "smile-style": SmileStyle,
    "one-vs-all": OneVsAll,
}
