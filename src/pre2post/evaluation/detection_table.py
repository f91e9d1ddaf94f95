"""Compare tumour detection in synthetic and real volumes, and correlate properties of the lesion with the Dice.

An input row is one mix and patient: mix, split, case, the properties, and by image detected_<image>, chance_<image> and
dice_<image>.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import getitem
from typing import Any

import numpy as np

from pre2post.core.files import rounded
from pre2post.stats.correlation import spearman
from pre2post.stats.params import StatisticsParams
from pre2post.stats.summary import Seed, paired
from pre2post.stats.tables import grouped, interval_options

IMAGES = ("synthetic", "real")
BOTH = "both"  # the patients of both splits together
LESION_PROPERTIES = ("size_ml", "enhancement_error")  # one value per patient
IMAGE_PROPERTIES = ("contrast", "heterogeneity", "entropy")  # one value per image, as <property>_<image>
PROPERTIES = ("size_ml", *IMAGE_PROPERTIES, "enhancement_error")
DOMAINS = (*IMAGES, "difference")  # synthetic minus real, of the Dice and of a property of the image

RATES = (*IMAGES, *(f"{image}_by_chance" for image in IMAGES), "difference", "ci_low", "ci_high", "n")

Row = Mapping[str, Any]


def detection_rates(rows: Sequence[Row], options: StatisticsParams, seed: Seed) -> list[dict]:
    """Return one row per mix and split, and per mix for both splits, with the fractions of detected tumours.

    synthetic, real: the fractions. synthetic_by_chance, real_by_chance: the fractions that the predicted pieces would
    detect at random places in the breasts. only_synthetic, only_real: numbers of patients detected in one image alone.
    difference: synthetic minus real, with its interval over patients.
    """
    table = []
    for key, patients in _by_mix_and_split(rows):
        synthetic, real = ([row[f"detected_{image}"] for row in patients] for image in IMAGES)
        found = paired(synthetic, real, **interval_options(options, seed))
        chances = {
            f"{image}_by_chance": rounded(float(np.mean([row[f"chance_{image}"] for row in patients])))
            for image in IMAGES
        }
        table.append(
            {
                **key,
                "synthetic": rounded(float(np.mean(synthetic))),
                "real": rounded(float(np.mean(real))),
                **chances,
                "only_synthetic": sum(one > other for one, other in zip(synthetic, real, strict=True)),
                "only_real": sum(one < other for one, other in zip(synthetic, real, strict=True)),
                "difference": rounded(found["mean"]),
                "ci_low": rounded(found["ci_low"]),
                "ci_high": rounded(found["ci_high"]),
                "n": found["n"],
            }
        )
    return table


def property_rows(rows: Sequence[Row], options: StatisticsParams, seed: Seed) -> list[dict]:
    """Return one row per mix, split, domain and property: Spearman's correlation of the property with the Dice.

    In the domain of an image, Dice and property are those of that image; in the domain difference, both are synthetic
    minus real. A property with one value per patient is used in each domain unchanged. It is followed by its percentile
    bootstrap interval over patients.
    """
    table = []
    for key, patients in _by_mix_and_split(rows):
        for domain in DOMAINS:
            dice = [_value(row, "dice", domain) for row in patients]
            for name in PROPERTIES:
                found = spearman(
                    [_value(row, name, domain) for row in patients], dice, **interval_options(options, seed)
                )
                row = {
                    **key,
                    "domain": domain,
                    "property": name,
                    **{column: rounded(found[column]) for column in ("spearman", "ci_low", "ci_high")},
                    "n": found["n"],
                }
                table.append({**row, "note": _note(row, options)})
    return table


def summary(rates: Iterable[Row], properties: Iterable[Row]) -> dict[str, dict]:
    """Return the short form of both tables for metrics/detection.json.

    {mix: {split: {RATES, "spearman": {property: correlation with the Dice in synthetic volumes}}}}
    """
    table: dict[str, dict] = {}
    for row in rates:
        kept = {name: row[name] for name in RATES}
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
        return f"{row['n']} patient{'s' * (row['n'] != 1)}: no interval with fewer than {options.min_patients}"
    return "" if row["spearman"] is not None else "the property or the Dice is the same for all patients"
