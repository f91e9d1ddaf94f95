"""Compare tumour detection in synthetic and real volumes, and correlate properties of the lesion with the Dice.

An input row is one mix and patient: mix, split, case, detected_<image>, dice_<image> and the properties.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import getitem
from typing import Any

from pre2post.core.files import rounded
from pre2post.stats.correlation import spearman
from pre2post.stats.params import StatisticsParams
from pre2post.stats.summary import Seed, mcnemar
from pre2post.stats.tables import corrected, grouped

IMAGES = ("synthetic", "real")
BOTH = "both"  # the patients of both splits together
LESION_PROPERTIES = ("size_ml", "enhancement_error")  # one value per patient
IMAGE_PROPERTIES = ("contrast", "heterogeneity", "entropy")  # one value per image, as <property>_<image>
PROPERTIES = ("size_ml", *IMAGE_PROPERTIES, "enhancement_error")
DOMAINS = (*IMAGES, "difference")  # synthetic minus real, of the Dice and of a property of the image

Row = Mapping[str, Any]


def detection_rates(rows: Sequence[Row], options: StatisticsParams) -> list[dict]:
    """Return one row per mix and split, and per mix for both splits, with the fractions of detected tumours.

    synthetic, real: the fractions. only_synthetic, only_real: numbers of patients detected in one image alone. p:
    McNemar's exact test. p_holm: corrected over the mixes of a split.
    """
    table = []
    for key, patients in _by_mix_and_split(rows):
        synthetic, real = ([bool(row[f"detected_{image}"]) for row in patients] for image in IMAGES)
        test = mcnemar(synthetic, real, options.min_patients)
        table.append(
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
    return [row for _, family in grouped(table, ("split",), getitem) for row in corrected(family)]


def property_rows(rows: Sequence[Row], options: StatisticsParams, seed: Seed) -> list[dict]:
    """Return one row per mix, split, domain and property: Spearman's correlation of the property with the Dice.

    In the domain of an image, Dice and property are those of that image; in the domain difference, both are synthetic
    minus real. A property with one value per patient is used in each domain unchanged. p is by permutation, and
    p_holm corrected over the properties of a mix, split and domain.
    """
    table = []
    for key, patients in _by_mix_and_split(rows):
        for domain in DOMAINS:
            dice = [_value(row, "dice", domain) for row in patients]
            family = []
            for name in PROPERTIES:
                test = spearman([_value(row, name, domain) for row in patients], dice, seed, options.min_patients)
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
            table += [{**row, "note": _note(row, options)} for row in corrected(family)]
    return table


def summary(rates: Iterable[Row], properties: Iterable[Row]) -> dict[str, dict]:
    """Return the short form of both tables for metrics/detection.json.

    {mix: {split: {"synthetic", "real", "only_synthetic", "only_real", "p", "p_holm", "n", "spearman": {property:
    correlation with the Dice in synthetic volumes}}}}
    """
    table: dict[str, dict] = {}
    for row in rates:
        kept = {name: row[name] for name in (*IMAGES, "only_synthetic", "only_real", "p", "p_holm", "n")}
        table.setdefault(row["mix"], {})[row["split"]] = kept | {"spearman": {}}
    for row in properties:
        if row["domain"] == "synthetic":
            table[row["mix"]][row["split"]]["spearman"][row["property"]] = row["spearman"]
    return table


def _by_mix_and_split(rows: Sequence[Row]) -> Iterator[tuple[dict[str, str], list[Row]]]:
    """Yield the patients of each mix and split, and of both splits together if there are two."""
    for key, of_mix in grouped(rows, ("mix",), getitem):
        splits = list(grouped(of_mix, ("split",), getitem))
        yield from (({**key, **split}, patients) for split, patients in splits)
        if len(splits) > 1:
            yield {**key, "split": BOTH}, of_mix


def _value(row: Row, name: str, domain: str) -> float | None:
    if name in LESION_PROPERTIES:
        return row[name]
    if domain in IMAGES:
        return row[f"{name}_{domain}"]
    synthetic, real = (row[f"{name}_{image}"] for image in IMAGES)
    return None if None in (synthetic, real) else synthetic - real


def _note(row: Row, options: StatisticsParams) -> str:
    """Explain why a row lacks some of its numbers."""
    if row["n"] < options.min_patients:
        return f"{row['n']} patient{'s' * (row['n'] != 1)}: no test with fewer than {options.min_patients}"
    return "" if row["spearman"] is not None else "the property or the Dice is the same for all patients"
