"""What tables of statistics share: rows grouped by their keys, one kind of interval, P values corrected by family."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from pre2post.core.numbers import rounded
from pre2post.stats.params import StatisticsParams
from pre2post.stats.summary import Seed, holm

Item = TypeVar("Item")


def grouped(items: Iterable[Item], names: Sequence[str], get: Callable = getattr) -> Iterator[tuple[dict, list[Item]]]:
    """The items of each combination of these fields, in order of first appearance; `get` reads a field of an item."""
    groups: dict[tuple, list[Item]] = {}
    for item in items:
        groups.setdefault(tuple(get(item, name) for name in names), []).append(item)
    for key, own in groups.items():
        yield dict(zip(names, key, strict=True)), own


def interval_options(options: StatisticsParams, seed: Seed) -> dict:
    """The section `statistics` of params.yaml as keywords of quality.statistics."""
    return {
        "confidence_level": options.confidence_level,
        "n_resamples": options.n_resamples,
        "seed": seed,
        "min_patients": options.min_patients,
    }


def corrected(family: Sequence[Mapping]) -> list[dict]:
    """The rows of one family of comparisons with "p_holm" from all their "p"."""
    return [
        {**row, "p_holm": rounded(adjusted)}
        for row, adjusted in zip(family, holm([row["p"] for row in family]), strict=True)
    ]
