"""Results of the synthesis: image error, gains over the baselines, distances, and the choice of the checkpoint."""

from collections.abc import Mapping

from pre2post.report.markdown import listed, number, table, with_interval
from pre2post.report.results import Results, Row, figure, find
from pre2post.segmentation.design import domain_label

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
            figure("synthesis", "MAE and SSIM of every patient, by region and method"),
            figure("examples", "Best, median and worst patient by lesion error"),
        ]
    )


def error_table(results: Results, regions: Mapping[str, str]) -> str:
    """Return MAE of the synthetic volume and its baselines, a row per split and region."""
    rows = []
    for split in results.splits:
        for region, name in regions.items():
            cells = [
                find(results.tables["synthesis_statistics"], split=split, image="post", region=region, metric="mae",
                      method=method)
                for method in METHODS
            ]  # fmt: skip
            if any(cell["mean"] for cell in cells):
                n = next(cell["n"] for cell in cells if cell["n"])
                values = [with_interval(cell["mean"], cell["ci_low"], cell["ci_high"], 4) for cell in cells]
                rows.append([f"{domain_label(split)}, n = {n}", name, *values])
    return table(["patients", "region", *METHODS.values()], rows)


def gain_table(results: Results) -> str:
    rows = []
    for split in results.splits:
        for region, name in REGIONS.items():
            cells = [_gain(results, split, region, baseline) for baseline in BASELINES]
            if any(cell.get("gain") for cell in cells):
                rows.append([domain_label(split), name, *(_with_p(cell, "gain", 4) for cell in cells)])
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
    return f"{domain_label(split).capitalize()} patients, by intervals that exclude 0: {'; '.join(parts)}."


def enhancement_sentence(results: Results, split: str) -> str:
    """Return how much of the breast enhances in one volume but not in the other, and how smooth the slices are."""
    statistics = results.tables["synthesis_statistics"]

    def mean(image: str, region: str, metric: str, method: str, digits: int, percent: bool) -> str:
        value = find(statistics, split=split, image=image, region=region, metric=metric, method=method)["mean"]
        return number(float(value) * 100 if percent and value else value, digits)

    false, lut_false = (
        mean("subtraction", "outside_lesion", "false", method, 1, True) for method in ("synthetic", "lut")
    )
    missed, pre_missed = (
        mean("subtraction", "outside_lesion", "missed", method, 1, True) for method in ("synthetic", "pre")
    )
    ratios = [mean("post", "breast", f"continuity_{axis}", "synthetic", 2, False) for axis in "zyx"]
    return (
        f"{domain_label(split).capitalize()} patients: outside the lesion, {false} % of the breast enhances in the "
        f"synthetic volume only (look-up table {lut_false} %). "
        f"{missed} % enhances in the real volume only (pre-contrast "
        f"{pre_missed} %). Change between neighbouring slices, as a multiple of the real volume's: {ratios[0]} along "
        f"z, {ratios[1]} along y, {ratios[2]} along x."
    )


def distances(results: Results) -> str:
    rows = []
    found = results.tables["synthesis_distances"]
    for split in results.splits:
        for distance, name in DISTANCES.items():
            cells = [find(found, split=split, distance=distance, compared=compared) for compared in COMPARED]
            if cells[0]["value"]:
                rows.append(
                    [f"{domain_label(split)}, {name}", cells[0]["n"], *(number(cell["value"], 1) for cell in cells)]
                )
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
            figure("same", "SAMe and its parts by checkpoint, and how often each checkpoint is selected"),
            figure("gan_losses", "Losses of the generator's training"),
        ]
    )


def _gain(results: Results, split: str, region: str, baseline: str) -> Row:
    return find(
        results.tables["synthesis_gains"], split=split, image="post", region=region, metric="mae", baseline=baseline
    )


def _with_p(row: Row, name: str, digits: int) -> str:
    shown = with_interval(row.get(name), row.get("ci_low"), row.get("ci_high"), digits, sign=True)
    return f"{shown}, {number(row.get('p_holm'), 2)}"
