"""Names for triplets that are written by id: dictionaries as OpenKE, RotatE, DGL-KE and LibKGE write them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from dans_data.errors import InputError
from dans_data.text import Meter, TripletFile, lines
from dans_data.triplets import Triplet, name_problem, printable
from dans_data.words import count

Splits = Mapping[str, list[Triplet]]


def without_count(text: Iterable[str]) -> Iterator[str]:
    """The lines of a file; the first one blank where it only counts the others."""
    for at, line in enumerate(text):
        yield "" if not at and line.strip().isdigit() else line


def read(part: TripletFile, meter: Meter, labels: bool = False) -> dict[str, str]:
    """Id to name, of lines "id TAB name" or "name TAB id"; with `labels` the first of two columns is the id.

    Raises:
        InputError: a line that is not two columns, an id that stands twice, or a name that cannot be used.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(without_count(lines(part, meter)), start=1):
        if line.strip():
            id_, name, problem = _entry(line, labels)
            if problem is None and id_ in found:
                problem = f'the id "{printable(id_, 40)}" stands above already'
            if problem := problem or _fault(name):
                raise InputError(f"{part.where}, line {number}: {problem}")
            found[id_] = name
    return found


def _entry(line: str, labels: bool) -> tuple[str, str, str | None]:
    """Id and name of a line, and what is wrong with it in words."""
    columns = [column.strip() for column in line.split("\t")]
    if len(columns) == 1:
        columns = line.rsplit(maxsplit=1)
    if len(columns) != 2:
        return "", "", f"{count(len(columns), 'column')}, expected an id and a name"
    first, second = columns
    if labels or first.isdigit():
        return first, second, None
    return (
        second,
        first,
        None if second.isdigit() else "neither column is an id, expected a whole number and a name",
    )


def _fault(name: str) -> str | None:
    problem = name_problem(name)
    return f"the name {problem}" if problem else None


def named(
    splits: Splits, dictionaries: Mapping[str, tuple[str, Mapping[str, str]]]
) -> dict[str, list[Triplet]]:
    """The triplets by name. `dictionaries`: of "entities", "relations", "labels", where each stands and its names.

    A dictionary whose names are those of the triplets already changes nothing; labels name what they know.

    Raises:
        InputError: a dictionary has some ids of the triplets and lacks others.
    """
    every = [triplet for rows in splits.values() for triplet in rows]
    entities = _map({name for head, _, tail in every for name in (head, tail)}, "entities", dictionaries)
    relations = _map({relation for _, relation, _ in every}, "relations", dictionaries)
    return {
        split: [(entities[head], relations[relation], entities[tail]) for head, relation, tail in rows]
        for split, rows in splits.items()
    }


def _map(
    names: set[str], kind: str, dictionaries: Mapping[str, tuple[str, Mapping[str, str]]]
) -> dict[str, str]:
    chosen = {name: name for name in names}
    if kind in dictionaries:
        where, ids = dictionaries[kind]
        lacking = sorted(names - ids.keys())
        if lacking and not names <= set(ids.values()):
            raise InputError(
                f'{where} has no name for "{printable(lacking[0], 40)}", and {count(len(lacking), "name")} '
                f"of the {kind} in all; expected one for each"
            )
        if not lacking:
            chosen = {name: ids[name] for name in names}
    if "labels" in dictionaries:
        where, labels = dictionaries["labels"]
        chosen = {name: labels.get(of, of) for name, of in chosen.items()}
    return _apart(chosen)


def _apart(chosen: Mapping[str, str]) -> dict[str, str]:
    """The same names, with the id beside those that several have: two of one name would become one."""
    times = Counter(chosen.values())
    return {id_: f"{name} ({id_})" if times[name] > 1 else name for id_, name in chosen.items()}
