"""docs/results.md: every result table and figure, and the sentences that state numbers, written from the tables.

No number of the page is typed by hand. A sentence about a comparison follows from its interval alone.
"""

from pre2post.report.image_quality import image_quality, short_table
from pre2post.report.markdown import listed
from pre2post.report.results import Results, figure
from pre2post.report.segmentation_results import (
    detection,
    dice_table,
    primary_table,
    same_against_dice,
    segmentation,
)
from pre2post.report.synthesis_results import checkpoint_choice, distances
from pre2post.segmentation.design import domain_label
from pre2post.splits.splits import TEST_SPLITS

PUBLISHED = """\
For orientation, the published figures on patients of Duke-Breast-Cancer-MRI. They are not comparable with a phantom.

| quantity | value | source |
| --- | --- | --- |
| Dice on post-contrast test volumes, trained on pre, then on pre + synthetic | 0.484, 0.663 | arXiv 2311.10879 |
| Dice gain in the pre-contrast domain from synthetic volumes added to post | +0.245 | arXiv 2311.10879 |
| SSIM, MSE, PSNR, FID of the released generator | 0.726, 34.88, 32.91, 28.71 | medigan model 00023 |

The released MSE and PSNR come from code that subtracts and squares 8-bit values, which wraps modulo 256.
All errors of this project are computed in floating point."""


def results_page(results: Results) -> str:
    """Return the text of docs/results.md."""
    sections = [
        "# Results",
        "<!-- Written by `python src/write_results.py` from metrics/ and plots/. Do not edit. -->",
        caveat(results),
        "## Cohort\n\n"
        + cohort_sentence(results)
        + "\n\n"
        + figure("cohort", "Cohort by site, role and tumour volume"),
        "## Image quality\n\n" + image_quality(results),
        "## Distances between sets of slices\n\n" + distances(results),
        "## Choice of the checkpoint\n\n" + checkpoint_choice(results),
        "## Tumour segmentation\n\n" + segmentation(results),
        "## Tumour detection\n\n" + detection(results),
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


def readme_block(results: Results) -> str:
    """Return the short form that README shows: image quality, Dice in the two real domains, primary comparisons."""
    domains = [f"{split}_{phase}" for split in TEST_SPLITS for phase in ("pre", "post1")]
    present = [domain for domain in domains if any(domain in results.metrics["segmentation"][m] for m in results.mixes)]
    return "\n".join(
        [
            caveat(results),
            "",
            f"Synthetic volumes and baselines against the real post-contrast volume: {listed(patients(results))}.",
            "Means over patients, the splits divided by a slash.",
            "",
            short_table(results),
            "",
            "SSIM, PSNR and AUC: higher is better; all others: lower is better. The oracle is a bound, no method.",
            "Pieces are connected enhancement of at least 0.5 ml.",
            "",
            "Tumour Dice by training mix (rows) and test domain, with bootstrap intervals:",
            "",
            dice_table(results, present),
            "",
            "The primary comparisons, fixed before this cohort was scored:",
            "",
            primary_table(results),
            "",
            "post1 is the first post-contrast phase. External patients come from another site.",
            "",
            "[All results](docs/results.md): every measure with its interval, distances, detection, the choice of the "
            "checkpoint, figures.",
        ]
    )


def patients(results: Results) -> list[str]:
    """Return "30 test", "30 external"."""
    rows = {row["split"]: row["n"] for row in reversed(results.tables["synthesis_statistics"])}
    return [f"{rows[split]} {domain_label(split)}" for split in results.splits]
