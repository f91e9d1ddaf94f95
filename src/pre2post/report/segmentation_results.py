"""Results of the segmenters: Dice by training mix and domain, gains, detection, and SAMe against the Dice."""

from collections.abc import Mapping, Sequence
from typing import Any

from pre2post.pipeline.provenance import PROVENANCE
from pre2post.report.headline import GAIN
from pre2post.report.markdown import listed, number, table, with_interval
from pre2post.report.results import Results, figure
from pre2post.segmentation.design import domain_label, mix_label


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
            figure("dice", "Dice by training mix and test domain"),
            figure("dice_paired", "Dice of every patient against the baseline mix"),
            figure("segmentation_worst", "The patients with the lowest Dice, annotated and predicted outlines"),
        ]
    )


def dice_table(results: Results, domains: Sequence[str]) -> str:
    """Return mean Dice with interval, a row per training mix and a column per domain."""
    metrics = results.metrics["segmentation"]
    rows = [[mix_label(mix), *(_dice(metrics[mix].get(domain, {})) for domain in domains)] for mix in results.mixes]
    return table(["trained on", *map(domain_label, domains)], rows)


def dice_gain_table(results: Results, domains: Sequence[str]) -> str:
    gains, baselines = results.metrics["segmentation"][GAIN], _baselines(results)
    rows = []
    for mix, cells in gains.items():
        shown = [
            f"{_dice(cells.get(domain, {}), sign=True)}, {number(cells.get(domain, {}).get('p'), 2)}"
            for domain in domains
        ]
        rows.append([f"{mix_label(mix)} against {mix_label(baselines[mix])}", *shown])
    return table(["", *map(domain_label, domains)], rows)


def dice_sentences(results: Results) -> list[str]:
    """Return, for each mix that has a baseline, in which domains its gain's interval excludes 0."""
    sentences = []
    for mix, cells in results.metrics["segmentation"][GAIN].items():
        better, worse = better_and_worse(cells)
        unclear = [domain for domain in cells if domain not in (*better, *worse)]
        found = _parts({"improves": better, "loses": worse, "is not clearly different": unclear})
        sentences.append(f"By intervals that exclude 0, {_comparison(results, mix)} {found}.")
    return sentences


def short_dice_sentences(results: Results, domains: Sequence[str]) -> list[str]:
    """Return a list entry per mix that has a baseline: in which of these domains it is better or worse."""
    sentences = []
    for mix, cells in results.metrics["segmentation"][GAIN].items():
        better, worse = better_and_worse({domain: cells[domain] for domain in domains if domain in cells})
        found = _parts({"better": better, "worse": worse}) or "no clear difference"
        sentences.append(f"- {_comparison(results, mix)}: {found}.")
    return sentences


def better_and_worse(cells: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the domains in which the interval of the gain is above 0, and those in which it is below."""
    better = [domain for domain, cell in cells.items() if cell["ci_low"] is not None and cell["ci_low"] > 0]
    worse = [domain for domain, cell in cells.items() if cell["ci_high"] is not None and cell["ci_high"] < 0]
    return better, worse


def detection(results: Results) -> str:
    rows = []
    for mix, splits in results.metrics["detection"].items():
        if mix in (PROVENANCE, "note"):
            continue
        for split, cell in splits.items():
            shares = [f"{number(100 * cell[name], 0)} %" for name in ("synthetic", "real")]
            counts = [str(cell[name]) for name in ("only_synthetic", "only_real")]
            rows.append([mix_label(mix), domain_label(split), str(cell["n"]), *shares, *counts, number(cell["p"], 2)])
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
        "segmented.\n\n" + table(header, rows) + "\n\n" + figure("detection", "Detected tumours, and Dice by property")
    )


def same_against_dice(results: Results) -> str:
    found = results.metrics["same_dice"]
    if "note" in found:
        return str(found["note"])
    return (
        f"Segmenters trained on {mix_label(found['evaluator'])} segment the synthetic volumes of every checkpoint, "
        f"for {found['patients']} patients whom they have not seen. The checkpoint that SAMe selects (epoch "
        f"{found['epoch']['same']}) reaches a mean Dice of {number(found['dice']['same'], 3)}; the best one (epoch "
        f"{found['epoch']['dice']}) reaches {number(found['dice']['dice'], 3)}. Spearman's correlation of SAMe with "
        f"the Dice over {found['checkpoints']} checkpoints is {number(found['spearman']['same'], 2)}; above 0, "
        "checkpoints with a better SAMe have a better Dice.\n\n"
        + figure("same_dice", "SAMe and the Dice by checkpoint")
    )


def _dice(cell: Mapping[str, Any], sign: bool = False) -> str:
    return with_interval(cell.get("dice"), cell.get("ci_low"), cell.get("ci_high"), 3, 2, sign)


def _baselines(results: Results) -> dict[str, str]:
    return {row["mix"]: row["baseline"] for row in results.tables["segmentation_gains"]}


def _parts(domains: Mapping[str, Sequence[str]]) -> str:
    """Return "improves in (test, post1); loses in (test, pre)", without verbs that have no domain."""
    return "; ".join(
        f"{verb} in {listed([f'({domain_label(name)})' for name in names])}" for verb, names in domains.items() if names
    )


def _comparison(results: Results, mix: str) -> str:
    return f"{mix_label(mix)} against {mix_label(_baselines(results)[mix])}"
