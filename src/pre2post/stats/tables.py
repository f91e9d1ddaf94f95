"""Helpers of all tables of statistics: grouping of rows, options of intervals, correction of P values by family."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pre2post.core.files import rounded
from pre2post.stats.params import StatisticsParams
from pre2post.stats.summary import Seed, holm

Item = TypeVar("Item")


def grouped(
    items: Iterable[Item], names: Sequence[str], get: Callable[[Item, str], Any] = getattr
) -> Iterator[tuple[dict[str, Any], list[Item]]]:
    """Yield each combination of these fields with its items, in order of first appearance.

    get: reads a field of an item.
    """
    groups: dict[tuple, list[Item]] = {}
    for item in items:
        groups.setdefault(tuple(get(item, name) for name in names), []).append(item)
    for key, own in groups.items():
        yield dict(zip(names, key, strict=True)), own


def interval_options(options: StatisticsParams, seed: Seed) -> dict[str, Any]:
    """Return the section `statistics` of params.yaml as keywords of summarise() and paired()."""
    return {
        "confidence_level": options.confidence_level,
        "n_resamples": options.n_resamples,
        "seed": seed,
        "min_patients": options.min_patients,
    }


def corrected(family: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of one family of comparisons with "p_holm" from all their "p"."""
    return [
        {**row, "p_holm": rounded(adjusted)}
        for row, adjusted in zip(family, holm([row["p"] for row in family]), strict=True)
    ]
