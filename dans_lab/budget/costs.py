"""The formulas of `budget`: bytes and seconds of a run, of what the code holds and does in a step.

All numbers were *measured* on one core of one machine, with float32 and one thread.
"""

from __future__ import annotations

from dans_core.config import SHARING, Config
from dans_lab.budget.sizes import Sizes
from dans_lab.runs.snapshot_sample import MOST_ENTITIES, MOST_QUERIES


class Steps:
    """How much is in a step: `count` an epoch, P pairs, Q distinct queries, C distinct heads, S slots of messages.

    The distinct ones are bounds, met where all queries, or heads, have equally many answers.
    """

    def __init__(self, config: Config, sizes: Sizes) -> None:
        batch = min(config.batch_size, sizes.train)
        self.count = -(-sizes.train // config.batch_size)
        self.pairs = 2 * batch
        share = batch / sizes.train
        self.queries = _distinct(sizes.queries, 2 * sizes.train, share)
        self.heads = _distinct(min(sizes.entities, 2 * sizes.train), 2 * sizes.train, share)
        self.slots = _distinct(sizes.queries, 2 * sizes.train, config.message_split)
        cells = self.queries * sizes.entities
        self.shared = config.shared > 1 and config.sampler in SHARING
        self.has_table = not self.shared and cells <= min(1 << 24, 8 * (1 + config.negatives) * self.pairs)
        self.cells = cells if self.has_table else 0.0


def _distinct(kinds: int, members: int, share: float) -> float:
    """How many of these kinds are in a share of their members, which are spread evenly over them."""
    return kinds * (1 - (1 - share) ** (members / max(kinds, 1)))


# --- memory ---------------------------------------------------------------------------------------------------------

_PROGRAM = 515e6
"""Bytes of Python, torch and the other imports, with what torch sets up when first used; *measured* 467 + 48 MB."""


def memory(config: Config, sizes: Sizes, steps: Steps) -> float:
    """Bytes at the peak, in float32 (4 bytes) and int64 (8).

    Peaks are above the sum of what is held at one time, since freed memory is kept and not all of it fits what is asked
    for next: the factors contain that.
    """
    n, dim = sizes.entities, config.dim
    data = 630 * sizes.train + 700 * sizes.valid + 500 * n
    # The parameter, its gradient, two moments and the best copy; then of each layer what the way back needs.
    model = (5 + 4 * config.layers) * 4 * n * dim
    # Shares of the messages' gradients, slot by slot; the matrix of each edge type, and its gradient.
    messages = 4 * dim * steps.slots
    if are_sparse(config, n):
        messages += 2 * config.layers * 4 * 2 * sizes.relations * dim**2
    drawn = 1 if config.sampler == "one-vs-all" else config.negatives
    batch = (
        5 * 4 * dim * steps.queries
        + (4 if steps.shared else 6) * 8 * steps.pairs * drawn
        + 6 * 4 * steps.cells
    )
    # Scores of a ranking and its flags; in the end the floor's table of relations and entities.
    ranking = 4 * 4 * min(1 << 22, 2 * sizes.valid * n)
    floor = 4 * 2 * sizes.relations * n if sizes.valid else 0
    kept, to_begin = _kept(config, sizes)
    training = model + max(messages + batch + _in_a_step(config, sizes, steps), ranking + floor)
    return _PROGRAM + data + kept + max(training, to_begin)


def are_sparse(config: Config, entities: int) -> bool:
    """Whether messages go edge type by edge type, not through tables of all pairs of entities."""
    return config.bases * entities**2 > 1 << 20


def _in_a_step(config: Config, sizes: Sizes, steps: Steps) -> float:
    """What the sampler adds to a step."""
    dim, drawn = config.dim, steps.pairs * config.negatives
    match config.sampler:
        case "dans":
            made, per_side = sum(config.fakes.values()), max(config.fakes.values())
            conditions = steps.heads + steps.queries
            vectors = dim * steps.queries * made
            local = 4 * dim * conditions * (config.film != "none")
            sides = dim * per_side * conditions
            a_pass = 8 * dim * per_side * min(config.condition_chunk, steps.queries)
            scoring = 3.5 * vectors if config.decoder == "rotate" else 0
            asked = 3 * dim * steps.pairs if config.conditional_d else 0
            return 4 * (vectors + local + sides + a_pass + scoring + asked)
        case "one-vs-all":
            return 10 * 4 * min(1 << 22, steps.queries * sizes.entities) + 2 * 4 * sizes.entities * dim
        case "self-adversarial":
            return 8 * drawn
        case "nscaching":
            return 50e6
        case "kbgan":
            return 32 * drawn
        case _:
            return 0


def _kept(config: Config, sizes: Sizes) -> tuple[float, float]:
    """What the sampler keeps, with its best copy, and what it needs only to begin."""
    both = sizes.entities + 2 * sizes.relations
    match config.sampler:
        case "nscaching":
            return 2 * 4 * sizes.queries * config.cache_size, 0
        case "kbgan":
            return 10 * 4 * both * config.generator_dim, 0
        case "mcns":
            near = _near(config, sizes)
            return 2 * 4 * sizes.queries * config.negatives + 8 * near, 26 * near
        case "sans":
            ends = _near(config, sizes)
            if config.walks:
                ends = min(0.55 * ends, 0.3 * sizes.entities * config.walks)
            walking = 20 * 8 * min(1 << 20, sizes.entities * config.walks)
            return 24 * ends + 150 * sizes.train, 8 * ends + walking
        case "cake-style" | "smile-style":
            return 250 * sizes.train + 48 * sizes.entities, 0
        case _:
            return 0, 0


def _near(config: Config, sizes: Sizes) -> float:
    """Pairs of an entity and one near it, as `samplers.neighbourhood` keeps them; several paths reach the same one."""
    near = 2 * sizes.train if config.hops == 1 else 0.65 * sizes.paths * 4.0 ** (config.hops - 2)
    return min(near, float(1 << 26), float(sizes.entities) ** 2)


# --- time -----------------------------------------------------------------------------------------------------------

_FLOP = 1.7e-11
"""Seconds of a multiplication or an addition in the encoder's products of messages, with what is gathered for them …"""

_DENSE_FLOP = 1.0e-11
"""… and in those of tables of edge weights."""

_CHOSEN = {"distmult": 2.8e-9, "complex": 2.8e-9, "rotate": 4.5e-9}
"""Seconds for each number of a chosen entity's vector, scored and its gradient made."""

_SHARED = {"distmult": 2.5e-10, "complex": 2.5e-10, "rotate": 1.8e-9}
"""The same where the pairs of a group share their negatives."""

_FORWARD = {"distmult": 0.8e-9, "complex": 0.8e-9, "rotate": 3.0e-9}
"""The same for a score alone."""

_TABLE = {"distmult": 1.0e-10, "complex": 1.1e-10, "rotate": 1.6e-9}
"""Seconds for each cell and number of a table of scores and its gradient …"""

_RANKED = {"distmult": 2.0e-11, "complex": 2.0e-11, "rotate": 4.5e-10}
"""… and of a table of scores alone."""

_DRAW = {
    "popularity": (40e-9, 130e-9),
    "bernoulli": (5e-9, 20e-9),
    "self-adversarial": (10e-9, 0.0),
    "sans": (55e-9, 220e-9),
    "cake-style": (60e-9, 190e-9),
    "smile-style": (15e-9, 60e-9),
    "kbgan": (210e-9, 450e-9),
    "nscaching": (98e-9, 20e-9),
    "mcns": (120e-9, 850e-9),
}
"""Seconds that a sampler takes for each draw beyond a uniform one: on graphs with a table of scores, and on others.

A draw is one of N_s for each pair; for NSCaching a candidate of a query, for MCNS a step of a chain.
"""

# Queries of a measurement at most, and draws for each.
_STUDIED, _DRAWS = 2_000, 5


def encode_seconds(config: Config, entities: int, slots: float) -> float:
    """The encoder's way forward."""
    return 0.0015 + _products(config, entities, slots)


def _products(config: Config, n: int, slots: float) -> float:
    dim, layers = config.dim, config.layers
    if are_sparse(config, n):
        return _FLOP * layers * 2 * (n + slots) * dim**2
    return _DENSE_FLOP * layers * 2 * config.bases * (n**2 * dim + n * dim**2)


def base_seconds(config: Config, sizes: Sizes, steps: Steps) -> float:
    """A step of the base model on uniform negatives: encoding, scores, gradients and the optimizer."""
    dim, n = config.dim, sizes.entities
    if config.sampler == "one-vs-all":
        scores = 0.003 + steps.queries * n * dim * max(7e-11, 0.9 * _TABLE[config.decoder])
    elif steps.has_table:
        scores = 0.001 + steps.cells * dim * _TABLE[config.decoder] + 5e-9 * steps.pairs * config.negatives
    elif steps.shared:
        scores = steps.pairs * (_CHOSEN[config.decoder] + config.negatives * _SHARED[config.decoder]) * dim
    else:
        scores = steps.pairs * (1 + config.negatives) * dim * _CHOSEN[config.decoder]
    return 0.0035 + 3.2 * _products(config, n, steps.slots) + scores


def own_seconds(config: Config, sizes: Sizes, steps: Steps) -> float:
    """What the sampler adds to a step of the base model."""
    match config.sampler:
        case "dans":
            return _game_seconds(config, steps)
        case "uniform" | "one-vs-all":
            return 0.0
    draws: float = steps.pairs * config.negatives
    scored = draws
    match config.sampler:
        case "nscaching":
            draws = scored = steps.queries * (config.cache_size + config.cache_fresh)
        case "mcns":
            draws, scored = steps.queries * config.negatives, 2 * steps.queries * config.negatives
        case "kbgan":
            draws *= config.candidates / 20
        case "popularity" | "bernoulli" | "sans" | "cake-style" | "smile-style":
            scored = 0
    small, large = _DRAW[config.sampler]
    if steps.has_table:
        return draws * small
    if steps.shared:
        return draws * (small + config.dim * _SHARED[config.decoder] / 3)
    return draws * large + scored * config.dim * _FORWARD[config.decoder]


def _game_seconds(config: Config, steps: Steps) -> float:
    """The updates of both pathways and of D, and the fakes of a step; the bounds of `Steps` are a little too high."""
    width = max(0.5, config.dim / 100)
    conditions = {"G_E": steps.heads, "G_R": steps.queries}
    played = {name: conditions[name] for name in config.fakes}
    local = 1.0 if config.film == "trained" else 0.6
    pathways = sum(0.003 + 7e-6 * width * local * each for each in played.values())
    judge = 0.0025 + 3e-6 * width * sum(played.values())
    fakes = sum(conditions[name] * share for name, share in config.fakes.items())
    scored = sum(config.fakes.values()) * steps.queries
    scoring = scored * config.dim * (7e-9 if config.decoder == "rotate" else 0.5e-9)
    return config.k_g * pathways + config.k_d * judge + 1e-6 * width * fakes + scoring


def run_seconds(config: Config, sizes: Sizes, steps: Steps) -> float:
    """All epochs, rankings, measurements and snapshots."""
    own = own_seconds(config, sizes, steps)
    with_own = config.epochs - (config.warmup_epochs if config.waits else 0)
    total = steps.count * (config.epochs * base_seconds(config, sizes, steps) + with_own * own)
    if config.sampler == "mcns":
        total += steps.count * config.burn_in * own
    encode = 0.001 + encode_seconds(config, sizes.entities, sizes.queries)
    scores = 2 * sizes.valid * sizes.entities
    ranking = encode + scores * (_RANKED[config.decoder] * config.dim + 1e-9)
    check, snapshot = 0.002 + encode, encode
    if config.sampler == "dans":
        studied = min(_STUDIED, sizes.queries) + min(_STUDIED, sizes.entities)
        nearest = studied * sizes.entities * config.dim * 2e-11
        check += _DRAWS * nearest + 17e-6 * studied
        snapshot += nearest + 8e-6 * studied
    else:
        check += own * min(1.0, _STUDIED / steps.pairs)
    rankings = (config.epochs // config.eval_every + 1) * bool(sizes.valid)
    checks, snapshots = config.epochs // config.diagnose_every + 1, config.epochs // config.snapshot_every + 2
    return total + rankings * ranking + checks * check + snapshots * snapshot


# --- disk -----------------------------------------------------------------------------------------------------------


def disk(config: Config, sizes: Sizes) -> float:
    """Bytes of a run directory: snapshots, events, and the two checkpoints."""
    dim, relations = config.dim, 2 * sizes.relations
    dans = config.sampler == "dans"
    queries, entities = min(sizes.queries, MOST_QUERIES), min(sizes.entities, MOST_ENTITIES)
    heads = min(sizes.entities, queries)
    snapshot = 2 * dim * (entities + min(relations, 1_000_000 // dim)) + 2_000
    fakes = 2 * dim * (heads + queries) + 12 * (entities + queries)
    snapshots = config.epochs // config.snapshot_every + 2
    with_fakes = max(0, (config.epochs - config.warmup_epochs) // config.snapshot_every + 1) if dans else 0
    layer = (config.bases + 1) * dim * dim + relations * config.bases + dim
    model = dim * (sizes.entities + relations) + config.layers * layer
    # A pathway: two layers and an output of d × d, and per layer two small networks of d × 100 × d.
    gan = 2 * (3 * dim * dim + 2 * 2 * 200 * dim) + 50 * dim if dans else 0
    kept = {
        "nscaching": 2 * sizes.queries * config.cache_size,
        "mcns": 2 * sizes.queries * config.negatives,
        "kbgan": 6 * (sizes.entities + relations) * config.generator_dim,
    }.get(config.sampler, 0)
    # last.pt: weights, two Adam moments, best weights; best.pt: weights. Both hold what a sampler keeps.
    checkpoints = 5 * 4 * (model + gan) + 4 * kept
    events = config.epochs * (420 if dans else 330) + config.epochs // config.eval_every * 220
    events += config.epochs // config.diagnose_every * 850
    return snapshots * snapshot + with_fakes * fakes + checkpoints + events
