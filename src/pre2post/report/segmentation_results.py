"""Results of the segmenters: Dice by training mix and domain, gains, detection, and SAMe against the Dice."""

from collections.abc import Mapping, Sequence
from typing import Any

from pre2post.pipeline.provenance import PROVENANCE
from pre2post.report.headline import GAIN
from pre2post.report.markdown import MISSING, listed, number, table, with_interval
from pre2post.report.results import Results, figure
from pre2post.segmentation.design import BASELINE, domain_label, mix_label

SHOWN_RATE = 1.0  # false positives per volume


def segmentation(results: Results) -> str:
    metrics = results.metrics["segmentation"]
    domains = list(dict.fromkeys(domain for mix in results.mixes for domain in metrics[mix]))
    return "\n\n".join(
        [
            "Tumour Dice of nnU-Net, folds ensembled: mean over patients with its interval, by training mix (rows) and "
            f"test domain. {threshold_sentence(results)}",
            dice_table(results, domains),
            "### Primary comparisons\n\nFixed before this cohort was scored. The comparisons of one split are one "
            "family of Holm's correction.",
            primary_table(results),
            "### Descriptive comparisons\n\nGain over the baseline mix, paired by patient, with its interval. These "
            "comparisons have no tests.",
            gain_table(metrics[GAIN], _baselines(results), domains),
            *dice_sentences(results),
            rivals(results, domains),
            figure("dice", "Dice by training mix and test domain"),
            figure("dice_paired", "Dice of every patient against the baseline mix"),
            figure("segmentation_worst", "The patients with the lowest Dice, annotated and predicted outlines"),
            "### Every training\n\nThe last epoch of each training. The validation Dice is that of the patients held "
            "out by its fold. A training near 0 has not learned.",
            training_table(results),
        ]
    )


def threshold_sentence(results: Results) -> str:
    """Return what the row of the threshold is."""
    level = results.metrics["segmentation"].get("threshold_level")
    if level is None:
        return ""
    return (
        "The single threshold is not trained: the largest piece of the breasts at or above normalised intensity "
        f"{number(level, 3)}, the level with the best Dice on the validation patients' post1."
    )


def primary_table(results: Results) -> str:
    """Return one row per split and primary comparison, with its verdict."""
    rows = []
    for row in results.tables["segmentation_primary"]:
        gain = row["question"] == "gain"
        rows.append(
            [
                domain_label(row["split"]),
                f"{mix_label(row['mix'])} against {mix_label(row['baseline'])} on {row['phase']}",
                "gains" if gain else f"loses less than {number(row['margin'], 2)}",
                with_interval(row["difference"], row["ci_low"], row["ci_high"], 3, 3, sign=True),
                _p_value(row["p_holm"]),
                {"1": "yes", "0": "not shown"}.get(str(row["shown"]), "not tested"),
            ]
        )
    if not rows:
        return "None: the mixes of the primary comparisons were not trained and tested."
    return table(["patients", "comparison", "claim", "difference of Dice", "Holm-corrected p", "shown"], rows)


def rivals(results: Results, domains: Sequence[str]) -> str:
    """Return what synthetic volumes add to look-up volumes in the same place."""
    found = results.metrics["segmentation"].get("rivals", {})
    comparisons = {(mix, rival): cells for mix, by_rival in found.items() for rival, cells in by_rival.items()}
    title = "### What remains for the generator\n\n"
    if not comparisons:
        return title + (
            "No mix with look-up volumes in place of synthetic ones was trained; add `pre_lut` to `segmentation.train`."
        )
    rows = [
        [
            f"{mix_label(mix)} against {mix_label(rival)}",
            *(_dice(cells.get(domain, {}), sign=True) for domain in domains),
        ]
        for (mix, rival), cells in comparisons.items()
    ]
    return (
        title + "Gain over the same mix with look-up volumes in place of synthetic ones, with its interval: what the "
        "generator adds to a function of the grey level.\n\n" + table(["", *map(domain_label, domains)], rows)
    )


def _p_value(value: str) -> str:
    """Return a p-value with three digits, never as 0."""
    return "< 0.001" if value not in ("", None) and float(value) < 0.001 else number(value, 3)


def training_table(results: Results) -> str:
    """Return one row per training, from plots/trainings.csv."""
    rows = [
        [
            mix_label(row["mix"]),
            row["fold"],
            row["epochs"],
            number(row["train_loss"], 3),
            number(row["validation_dice"], 3),
            row["restarts"],
        ]
        for row in results.tables["trainings"]
    ]
    return table(["trained on", "fold", "epochs", "training loss", "validation Dice", "restarts"], rows)


def dice_table(results: Results, domains: Sequence[str]) -> str:
    """Return mean Dice with interval, a row per training mix and a column per domain."""
    metrics = results.metrics["segmentation"]
    rows = [[mix_label(mix), *(_dice(metrics[mix].get(domain, {})) for domain in domains)] for mix in results.mixes]
    return table(["trained on", *map(domain_label, domains)], rows)


def gain_table(gains: Mapping[str, Mapping[str, Any]], baselines: Mapping[str, str], domains: Sequence[str]) -> str:
    rows = [
        [
            f"{mix_label(mix)} against {mix_label(baselines[mix])}",
            *(_dice(cells.get(domain, {}), sign=True) for domain in domains),
        ]
        for mix, cells in gains.items()
    ]
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
            shares = [
                f"{number(100 * cell[name], 0)} % ({number(100 * cell[f'{name}_by_chance'], 0)} %)"
                for name in ("synthetic", "real")
            ]
            points, low, high = (
                None if cell[name] is None else 100 * cell[name] for name in ("difference", "ci_low", "ci_high")
            )
            difference = with_interval(points, low, high, 0, sign=True)
            rows.append([mix_label(mix), domain_label(split), str(cell["n"]), *shares, difference])
    if not rows:
        return str(results.metrics["detection"].get("note", "Not measured."))
    return "\n\n".join(
        [
            "A tumour is detected if a predicted piece and the tumour have an IoU of at least "
            "`segmentation.lesion_overlap`. In brackets: the share that the same pieces would detect at random places "
            "in the breasts. The difference is in percentage points, with its interval.",
            table(["trained on", "patients", "n", "synthetic", "real", "synthetic - real"], rows),
            figure("detection", "Detected tumours, and Dice by property"),
            f"Sensitivity at {SHOWN_RATE:g} false positive per volume, with its interval; in brackets, by chance.",
            froc_table(results),
            figure("froc", "Sensitivity against false positives per volume"),
        ]
    )


def froc_table(results: Results) -> str:
    """Return the sensitivity at SHOWN_RATE, a row per mix and a column per domain."""
    shown = {
        (row["mix"], row["domain"]): f"{_sensitivity(row)} ({number(row['by_chance'], 2)})"
        for row in results.tables["froc"]
        if float(row["false_positives"]) == SHOWN_RATE
    }
    mixes, domains = (list(dict.fromkeys(key[place] for key in shown)) for place in (0, 1))
    rows = [[mix_label(mix), *(shown.get((mix, domain), MISSING) for domain in domains)] for mix in mixes]
    return table(["trained on", *map(domain_label, domains)], rows)


def _sensitivity(row: Mapping[str, str]) -> str:
    return with_interval(row["sensitivity"], row["ci_low"], row["ci_high"], 2)


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
    return {row["mix"]: row["baseline"] for row in results.tables["segmentation_gains"] if row["kind"] == BASELINE}


def _parts(domains: Mapping[str, Sequence[str]]) -> str:
    """Return "improves in (test, post1); loses in (test, pre)", without verbs that have no domain."""
    return "; ".join(
        f"{verb} in {listed([f'({domain_label(name)})' for name in names])}" for verb, names in domains.items() if names
    )


def _comparison(results: Results, mix: str) -> str:
    return f"{mix_label(mix)} against {mix_label(_baselines(results)[mix])}"
