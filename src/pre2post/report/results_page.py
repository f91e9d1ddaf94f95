"""docs/results.md: every result table and figure, and the sentences that state numbers, written from the tables.

No number of the page is typed by hand. A sentence about a comparison follows from its interval alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pre2post.pipeline.provenance import PROVENANCE
from pre2post.report.headline import GAIN
from pre2post.report.markdown import listed, number, table, with_interval

Row = Mapping[str, str]
REGIONS = {"lesion": "lesion", "breast": "breast", "contralateral": "contralateral breast", "whole": "entire volume"}
BASELINES = {"pre": "pre-contrast", "lut": "look-up table"}
METHODS = {"synthetic": "synthetic"} | BASELINES
DISTANCES = {
    "fd_random": "random-network features",
    "kid_random": "random-network features (KID)",
    "fd_texture": "texture features",
    "kid_texture": "texture features (KID)",
    "frd_v0": "FRD v0, lesions",
    "frd_v1": "FRD v1, lesions",
}
COMPARED = ("synthetic", "pre", "lut", "other_patients", "halves")
PUBLISHED = """\
For orientation, the published figures on patients of Duke-Breast-Cancer-MRI. They are not comparable with a phantom.

| quantity | value | source |
| --- | --- | --- |
| Dice on post-contrast test volumes, trained on pre, then on pre + synthetic | 0.484, 0.663 | arXiv 2311.10879 |
| Dice gain in the pre-contrast domain from synthetic volumes added to post | +0.245 | arXiv 2311.10879 |
| SSIM, MSE, PSNR, FID of the released generator | 0.726, 34.88, 32.91, 28.71 | medigan model 00023 |

The released MSE and PSNR come from code that subtracts and squares 8-bit values, which wraps modulo 256.
All errors of this project are computed in floating point."""


@dataclass(frozen=True)
class Results:
    """The tables that the page is written from.

    tables: rows of plots/<name>.csv. metrics: content of metrics/<name>.json.
    """

    tables: Mapping[str, Sequence[Row]]
    metrics: Mapping[str, Mapping[str, Any]]

    @property
    def splits(self) -> list[str]:
        return list(dict.fromkeys(row["split"] for row in self.tables["synthesis_statistics"]))

    @property
    def mixes(self) -> list[str]:
        return [name for name in self.metrics["segmentation"] if name not in (GAIN, PROVENANCE)]

    @property
    def is_phantom(self) -> bool:
        used = [row for row in self.tables["cohort"] if row["status"] == "used"]
        return all(row["patient"].startswith("phantom:") for row in used)


def results_page(results: Results) -> str:
    """Return the text of docs/results.md."""
    sections = [
        "# Results",
        "<!-- Written by `python src/write_results.py` from metrics/ and plots/. Do not edit. -->",
        caveat(results),
        "## Cohort\n\n" + cohort_sentence(results) + "\n\n" + image("cohort", "Cohort by site, role and tumour volume"),
        "## Image error\n\n" + image_error(results),
        "## Distances between sets of slices\n\n" + distances(results),
        "## Choice of the checkpoint\n\n" + checkpoint_choice(results),
        "## Tumour segmentation\n\n" + segmentation(results),
        "## Tumours detected in synthetic volumes\n\n" + detection(results),
        "## SAMe against the Dice\n\n" + same_against_dice(results),
        "## Published figures\n\n" + PUBLISHED,
    ]
    return "\n\n".join(sections) + "\n"


def caveat(results: Results) -> str:
    if results.is_phantom:
        return (
            "**On the embedded phantom**, not on patients. These numbers show that the pipeline works. "
            "They say nothing about patients."
        )
    return "On patients. Not for diagnosis."


def cohort_sentence(results: Results) -> str:
    used = [row for row in results.tables["cohort"] if row["status"] == "used"]
    roles = dict.fromkeys(row["role"] for row in used)
    counts = [f"{sum(row['role'] == role for row in used)} {role}" for role in roles]
    return f"{len(used)} cases are used: {listed(counts)}."


def image_error(results: Results) -> str:
    return "\n\n".join(
        [
            "Mean absolute error (MAE) against the real first post-contrast volume, in normalised intensity: "
            "mean over patients with its bootstrap interval. The baselines are the untouched pre-contrast volume and "
            "an intensity look-up table that is fitted on the training slices.",
            error_table(results, REGIONS),
            "Gain of the synthetic volume over each baseline: baseline error minus synthetic error, paired by "
            "patient. Each gain is followed by its interval and Holm-corrected Wilcoxon p.",
            gain_table(results),
            *(gain_sentence(results, split) for split in results.splits),
            *(enhancement_sentence(results, split) for split in results.splits),
            image("synthesis", "MAE and SSIM of every patient, by region and method"),
            image("examples", "Best, median and worst patient by lesion error"),
        ]
    )


def error_table(results: Results, regions: Mapping[str, str]) -> str:
    """Return MAE of the synthetic volume and its baselines, a row per split and region."""
    rows = []
    for split in results.splits:
        for region, name in regions.items():
            cells = [
                _find(results.tables["synthesis_statistics"], split=split, image="post", region=region, metric="mae",
                      method=method)
                for method in METHODS
            ]  # fmt: skip
            if any(cell["mean"] for cell in cells):
                n = next(cell["n"] for cell in cells if cell["n"])
                values = [with_interval(cell["mean"], cell["ci_low"], cell["ci_high"], 4) for cell in cells]
                rows.append([f"{_words(split)}, n = {n}", name, *values])
    return table(["patients", "region", *METHODS.values()], rows)


def gain_table(results: Results) -> str:
    rows = []
    for split in results.splits:
        for region, name in REGIONS.items():
            cells = [_gain(results, split, region, baseline) for baseline in BASELINES]
            if any(cell.get("gain") for cell in cells):
                rows.append([_words(split), name, *(_with_p(cell, "gain", 4) for cell in cells)])
    return table(["patients", "region", *(f"over {name}" for name in BASELINES.values())], rows)


def gain_sentence(results: Results, split: str) -> str:
    """Return where the intervals of the gains exclude 0."""
    parts = []
    for baseline, name in BASELINES.items():
        better, worse = [], []
        for region, words in REGIONS.items():
            cell = _gain(results, split, region, baseline)
            if cell.get("ci_low") and float(cell["ci_low"]) > 0:
                better.append(words)
            if cell.get("ci_high") and float(cell["ci_high"]) < 0:
                worse.append(words)
        found = f"better in {listed(better)}" if better else "not clearly better in any region"
        parts.append(f"against {name}, {found}" + (f", worse in {listed(worse)}" if worse else ""))
    return f"{_words(split).capitalize()} patients, by intervals that exclude 0: {'; '.join(parts)}."


def enhancement_sentence(results: Results, split: str) -> str:
    """Return how much of the breast enhances in one volume but not in the other, and how smooth the slices are."""
    statistics = results.tables["synthesis_statistics"]

    def mean(image: str, region: str, metric: str, method: str, digits: int, percent: bool) -> str:
        value = _find(statistics, split=split, image=image, region=region, metric=metric, method=method)["mean"]
        return number(float(value) * 100 if percent and value else value, digits)

    false, lut_false = (
        mean("subtraction", "outside_lesion", "false", method, 1, True) for method in ("synthetic", "lut")
    )
    missed, pre_missed = (
        mean("subtraction", "outside_lesion", "missed", method, 1, True) for method in ("synthetic", "pre")
    )
    ratios = [mean("post", "breast", f"continuity_{axis}", "synthetic", 2, False) for axis in "zyx"]
    return (
        f"{_words(split).capitalize()} patients: outside the lesion, {false} % of the breast enhances in the synthetic "
        f"volume only (look-up table {lut_false} %). {missed} % enhances in the real volume only (pre-contrast "
        f"{pre_missed} %). Change between neighbouring slices, as a multiple of the real volume's: {ratios[0]} along "
        f"z, {ratios[1]} along y, {ratios[2]} along x."
    )


def distances(results: Results) -> str:
    rows = []
    found = results.tables["synthesis_distances"]
    for split in results.splits:
        for distance, name in DISTANCES.items():
            cells = [_find(found, split=split, distance=distance, compared=compared) for compared in COMPARED]
            if cells[0]["value"]:
                rows.append([f"{_words(split)}, {name}", cells[0]["n"], *(number(cell["value"], 1) for cell in cells)])
    header = ["", "n", *METHODS.values(), "other patients", "halves (half the n)"]
    return (
        "Distance to the set of real slices; lower is better. n counts slices, for FRD patients. The last two columns "
        "are reference values: the real slices of other patients, and one half of the real patients against the other."
        "\n\n" + table(header, rows)
    )


def checkpoint_choice(results: Results) -> str:
    same = results.metrics["same"]
    stability = results.tables["same_stability"]
    agreeing = [row["variation"] for row in stability if row["epoch"] == str(same["epoch"])]
    differing = [f"{row['variation']} (epoch {row['epoch']})" for row in stability if row["variation"] not in agreeing]
    return "\n\n".join(
        [
            f"SAMe selects epoch {same['epoch']} among {same['checkpoints']} checkpoints, on {same['patients']} "
            f"validation patients with {same['slices']} slices. The choice is the same in {len(agreeing)} of "
            f"{len(stability)} variations (any single metric dropped, other scalings)"
            + (f"; it differs {listed(differing)}" if differing else "")
            + f", and in {number(100 * same['selection_frequency'], 1)} % of bootstrap resamples of the patients. "
            "Spearman's correlation of SAMe with the lesion error over the checkpoints is "
            f"{number(same['rank_correlation']['lesion_mae'], 2)}.",
            image("same", "SAMe and its parts by checkpoint, and how often each checkpoint is selected"),
            image("gan_losses", "Losses of the generator's training"),
        ]
    )


def segmentation(results: Results) -> str:
    metrics = results.metrics["segmentation"]
    domains = list(dict.fromkeys(domain for mix in results.mixes for domain in metrics[mix]))
    return "\n\n".join(
        [
            "Tumour Dice of nnU-Net, folds ensembled: mean over patients with its interval, by training mix (rows) and "
            "test domain.",
            dice_table(results, domains),
            "Gain over the baseline mix, paired by patient. Each gain is followed by its interval and Holm-corrected "
            "Wilcoxon p.",
            dice_gain_table(results, domains),
            *dice_sentences(results),
            image("dice", "Dice by training mix and test domain"),
            image("dice_paired", "Dice of every patient against the baseline mix"),
            image("segmentation_worst", "The patients with the lowest Dice, annotated and predicted outlines"),
        ]
    )


def dice_table(results: Results, domains: Sequence[str]) -> str:
    """Return mean Dice with interval, a row per training mix and a column per domain."""
    metrics = results.metrics["segmentation"]
    rows = [[_mix(mix), *(_dice(metrics[mix].get(domain, {})) for domain in domains)] for mix in results.mixes]
    return table(["trained on", *map(_words, domains)], rows)


def dice_gain_table(results: Results, domains: Sequence[str]) -> str:
    gains, baselines = results.metrics["segmentation"][GAIN], _baselines(results)
    rows = []
    for mix, cells in gains.items():
        shown = [
            f"{_dice(cells.get(domain, {}), sign=True)}, {number(cells.get(domain, {}).get('p'), 2)}"
            for domain in domains
        ]
        rows.append([f"{_mix(mix)} against {_mix(baselines[mix])}", *shown])
    return table(["", *map(_words, domains)], rows)


def dice_sentences(results: Results) -> list[str]:
    """Return, for each mix that has a baseline, in which domains its gain's interval excludes 0."""
    sentences = []
    for mix, cells in results.metrics["segmentation"][GAIN].items():
        gained = [_words(name) for name, cell in cells.items() if cell["ci_low"] is not None and cell["ci_low"] > 0]
        lost = [_words(name) for name, cell in cells.items() if cell["ci_high"] is not None and cell["ci_high"] < 0]
        unclear = [_words(name) for name in cells if _words(name) not in (*gained, *lost)]
        parts = [
            f"{verb} in {_several(names)}"
            for verb, names in (("improves", gained), ("loses", lost), ("is not clearly different", unclear))
            if names
        ]
        sentences.append(
            f"By intervals that exclude 0, {_mix(mix)} against {_mix(_baselines(results)[mix])} {'; '.join(parts)}."
        )
    return sentences


def short_dice_sentences(results: Results, domains: Sequence[str]) -> list[str]:
    """Return a list entry per mix that has a baseline: in which of these domains it is better or worse."""
    sentences = []
    for mix, cells in results.metrics["segmentation"][GAIN].items():
        shown = {name: cells[name] for name in domains if name in cells}
        better = [_words(name) for name, cell in shown.items() if cell["ci_low"] is not None and cell["ci_low"] > 0]
        worse = [_words(name) for name, cell in shown.items() if cell["ci_high"] is not None and cell["ci_high"] < 0]
        parts = [f"{word} in {_several(names)}" for word, names in (("better", better), ("worse", worse)) if names]
        found = "; ".join(parts) or "no clear difference"
        sentences.append(f"- {_mix(mix)} against {_mix(_baselines(results)[mix])}: {found}.")
    return sentences


def detection(results: Results) -> str:
    rows = []
    for mix, splits in results.metrics["detection"].items():
        if mix in (PROVENANCE, "note"):
            continue
        for split, cell in splits.items():
            shares = [f"{number(100 * cell[name], 0)} %" for name in ("synthetic", "real")]
            counts = [str(cell[name]) for name in ("only_synthetic", "only_real")]
            rows.append([_mix(mix), _words(split), str(cell["n"]), *shares, *counts, number(cell["p"], 2)])
    if not rows:
        return str(results.metrics["detection"].get("note", "Not measured."))
    header = [
        "trained on",
        "patients",
        "n",
        "synthetic",
        "real",
        "in synthetic only",
        "in real only",
        "McNemar's p, uncorrected",
    ]
    return (
        "Share of patients whose predicted mask overlaps the tumour, when the synthetic or the real volume is "
        "segmented.\n\n" + table(header, rows) + "\n\n" + image("detection", "Detected tumours, and Dice by property")
    )


def same_against_dice(results: Results) -> str:
    found = results.metrics["same_dice"]
    if "note" in found:
        return str(found["note"])
    return (
        f"Segmenters trained on {_mix(found['evaluator'])} segment the synthetic volumes of every checkpoint, for "
        f"{found['patients']} patients whom they have not seen. The checkpoint that SAMe selects (epoch "
        f"{found['epoch']['same']}) reaches a mean Dice of {number(found['dice']['same'], 3)}; the best one (epoch "
        f"{found['epoch']['dice']}) reaches {number(found['dice']['dice'], 3)}. Spearman's correlation of SAMe with "
        f"the Dice over {found['checkpoints']} checkpoints is {number(found['spearman']['same'], 2)}; above 0, "
        "checkpoints with a better SAMe have a better Dice.\n\n" + image("same_dice", "SAMe and the Dice by checkpoint")
    )


def readme_block(results: Results) -> str:
    """Return the short form that README shows: one error table and the Dice in the two real domains of both splits."""
    domains = [f"{split}_{phase}" for split in ("test", "external") for phase in ("pre", "post1")]
    present = [domain for domain in domains if any(domain in results.metrics["segmentation"][m] for m in results.mixes)]
    return "\n".join(
        [
            caveat(results),
            "",
            "MAE against the real post-contrast volume, in normalised intensity, with bootstrap intervals:",
            "",
            error_table(results, {"lesion": "lesion", "whole": "entire volume"}),
            "",
            "Tumour Dice by training mix (rows) and test domain, with bootstrap intervals:",
            "",
            dice_table(results, present),
            "",
            *short_dice_sentences(results, present),
            "",
            "A difference counts if its interval excludes 0. post1 is the first post-contrast phase. "
            "External patients come from another site.",
            "",
            "[All results](docs/results.md): gains with p-values, distances, the choice of the checkpoint, figures.",
        ]
    )


def image(name: str, text: str) -> str:
    return f"![{text}](../plots/{name}.png)"


def _gain(results: Results, split: str, region: str, baseline: str) -> Row:
    return _find(
        results.tables["synthesis_gains"], split=split, image="post", region=region, metric="mae", baseline=baseline
    )


def _find(rows: Sequence[Row], **wanted: str) -> Row:
    """Return the first row with these values; one of empty texts where there is none."""
    found = (row for row in rows if all(row[name] == value for name, value in wanted.items()))
    return next(found, dict.fromkeys(rows[0] if rows else (), ""))


def _with_p(row: Row, name: str, digits: int) -> str:
    shown = with_interval(row.get(name), row.get("ci_low"), row.get("ci_high"), digits, sign=True)
    return f"{shown}, {number(row.get('p_holm'), 2)}"


def _dice(cell: Mapping[str, Any], sign: bool = False) -> str:
    return with_interval(cell.get("dice"), cell.get("ci_low"), cell.get("ci_high"), 3, 2, sign)


def _baselines(results: Results) -> dict[str, str]:
    return {row["mix"]: row["baseline"] for row in results.tables["segmentation_gains"]}


def _several(names: Sequence[str]) -> str:
    return listed([f"({name})" for name in names])


def _words(name: str) -> str:
    return name.replace("_", ", ")


def _mix(name: str) -> str:
    return name.replace("_", " + ")
