"""The primary comparisons of the study, fixed before this cohort was scored; all others are descriptive.

Two questions ask for a gain where a domain is missing in training. Two ask whether nothing is lost where it is present.
The four of one split are one family of Holm's correction.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pre2post.core.files import rounded
from pre2post.evaluation.cells import STATISTICS_STREAM, Cells, Row, cells_of, shared_values
from pre2post.segmentation.design import domain_of
from pre2post.splits.splits import TEST_SPLITS
from pre2post.stats.params import StatisticsParams
from pre2post.stats.summary import not_inferior, paired
from pre2post.stats.tables import corrected, interval_options


class Primary(NamedTuple):
    """One comparison of Dice; `phase` is that of the test volumes, `question` "gain" or "no_loss"."""

    mix: str
    baseline: str
    phase: str
    question: str


GAIN, NO_LOSS = "gain", "no_loss"
PRIMARY = (
    Primary("pre_synthetic", "pre", "post1", GAIN),
    Primary("post_synthetic", "post", "pre", GAIN),
    Primary("pre_synthetic", "pre", "pre", NO_LOSS),
    Primary("post_synthetic", "post", "post1", NO_LOSS),
)


def primary_rows(rows: Sequence[Row], options: StatisticsParams, seed: int) -> list[dict]:
    """Return one row per split and primary comparison of which both mixes were tested; `rows`: plots/segmentation.csv.

    difference: of mean Dice, mix minus baseline, with its interval. p: for a gain, Wilcoxon's two-sided test; for no
    loss, its test of not being inferior by options.margin_dice. p_holm: corrected over the rows of the split.
    shown: 1 if p_holm is below 1 - confidence_level and, for a gain, the difference above 0; else 0; None: no test.
    """
    cells = cells_of(rows)
    table = []
    for split in TEST_SPLITS:
        family = [
            _row(split, comparison, cells, options, seed)
            for comparison in PRIMARY
            if all((mix, domain_of(split, comparison.phase)) in cells for mix in (comparison.mix, comparison.baseline))
        ]
        table += [row | {"shown": _shown(row, options)} for row in corrected(family)]
    return table


def comparison_name(row: Row) -> str:
    """Return the key of a comparison in metrics/segmentation.json, such as "pre_synthetic_on_post1"."""
    return f"{row['mix']}_on_{row['phase']}"


def _row(split: str, comparison: Primary, cells: Cells, options: StatisticsParams, seed: int) -> dict[str, Any]:
    mix, baseline, phase, question = comparison
    values = shared_values(cells, mix, baseline, domain_of(split, phase), "dice")
    found = paired(*values, **interval_options(options, [seed, STATISTICS_STREAM]))
    no_loss = question == NO_LOSS
    p = not_inferior(*values, options.margin_dice, options.min_patients) if no_loss else found["p"]
    return {
        "split": split,
        **comparison._asdict(),
        "margin": options.margin_dice if no_loss else None,
        "difference": rounded(found["mean"]),
        "ci_low": rounded(found["ci_low"]),
        "ci_high": rounded(found["ci_high"]),
        "p": rounded(p),
        "n": found["n"],
    }


def _shown(row: Row, options: StatisticsParams) -> int | None:
    if row["p_holm"] is None:
        return None
    return int(row["p_holm"] < 1 - options.confidence_level and (row["question"] == NO_LOSS or row["difference"] > 0))
