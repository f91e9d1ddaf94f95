"""Whether tumours are found in synthetic volumes as in real ones, and which property of the image goes with it.

A row of the input is one mix and patient: mix, split, case, detected_<image>, dice_<image> and the properties.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import getitem

from pre2post.core.numbers import rounded
from pre2post.stats.correlation import spearman
from pre2post.stats.mcnemar import mcnemar
from pre2post.stats.params import StatisticsParams
from pre2post.stats.tables import corrected, grouped

IMAGES = ("synthetic", "real")
BOTH = "both"  # groups of patients together
OF_PATIENT = ("size_ml", "enhancement_error")  # properties with one value a patient
OF_IMAGE = ("contrast", "heterogeneity", "entropy")  # and those of each image, named <property>_<image>
PROPERTIES = (*OF_PATIENT[:1], *OF_IMAGE, *OF_PATIENT[1:])
DOMAINS = (*IMAGES, "difference")  # synthetic minus real, of the Dice and of a property of the image

Row = Mapping[str, str | float | None]


def detection_rates(rows: Sequence[Row], options: StatisticsParams) -> list[dict]:
    """A row each mix and split of patients, and both groups: shares of tumours that the prediction touches.

    synthetic, real: the shares; only_synthetic, only_real: numbers of patients found in that image alone; McNemar's
    exact p, and p_holm over the mixes of that split.
    """
    found = []
    for key, own in _by_setting_and_group(rows):
        test = mcnemar(*([row[f"detected_{image}"] for row in own] for image in IMAGES), options.min_patients)
        found.append(
            {
                **key,
                "synthetic": rounded(test["first"]),
                "real": rounded(test["second"]),
                "only_synthetic": test["only_first"],
                "only_real": test["only_second"],
                "p": rounded(test["p"]),
                "n": test["n"],
            }
        )
    return [row for _, family in grouped(found, ("split",), getitem) for row in corrected(family)]


def property_rows(rows: Sequence[Row], options: StatisticsParams, seed) -> list[dict]:
    """A row each mix, split, domain and property: Spearman's correlation of the property with the Dice.

    Domain synthetic or real: the Dice and the property in that image; difference: both as synthetic minus real. What is
    one value a patient stands beside each Dice as it is. p by permutation, p_holm over the properties of that mix,
    split and domain.
    """
    found = []
    for key, own in _by_setting_and_group(rows):
        for domain in DOMAINS:
            dice = [_value(row, "dice", domain) for row in own]
            family = []
            for name in PROPERTIES:
                test = spearman([_value(row, name, domain) for row in own], dice, seed, options.min_patients)
                family.append(
                    {
                        **key,
                        "domain": domain,
                        "property": name,
                        "spearman": rounded(test["spearman"]),
                        "p": rounded(test["p"]),
                        "n": test["n"],
                    }
                )
            found += [{**row, "note": _note(row, options)} for row in corrected(family)]
    return found


def summary(rates: Iterable[Row], properties: Iterable[Row]) -> dict:
    """The short form of both for metrics/detection.json; the keys are always the same.

    {mix: {split: {"synthetic", "real", "only_synthetic", "only_real", "p", "p_holm", "n", "spearman": {property:
    correlation with the Dice in synthetic volumes}}}}.
    """
    table: dict[str, dict] = {}
    for row in rates:
        kept = {name: row[name] for name in (*IMAGES, "only_synthetic", "only_real", "p", "p_holm", "n")}
        table.setdefault(row["mix"], {})[row["split"]] = kept | {"spearman": {}}
    for row in properties:
        if row["domain"] == IMAGES[0]:
            table[row["mix"]][row["split"]]["spearman"][row["property"]] = row["spearman"]
    return table


def _by_setting_and_group(rows: Sequence[Row]) -> Iterator[tuple[dict, list[Row]]]:
    for key, own in grouped(rows, ("mix",), getitem):
        parts = list(grouped(own, ("split",), getitem))
        yield from (({**key, **split}, members) for split, members in parts)
        if len(parts) > 1:
            yield {**key, "split": BOTH}, own


def _value(row: Row, name: str, domain: str) -> float | None:
    if name in OF_PATIENT:
        return row[name]
    if domain in IMAGES:
        return row[f"{name}_{domain}"]
    synthetic, real = (row[f"{name}_{image}"] for image in IMAGES)
    return None if None in (synthetic, real) else synthetic - real


def _note(row: Row, options: StatisticsParams) -> str:
    """Why a row lacks some of its numbers."""
    if row["n"] < options.min_patients:
        return f"{row['n']} patient{'s' * (row['n'] != 1)}: no test with fewer than {options.min_patients}"
    return "" if row["spearman"] is not None else "the property or the Dice is the same for all"
