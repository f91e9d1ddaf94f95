"""The rows of plots/dice.csv: the Dice of every mix and domain, with its difference from the baseline."""

from collections.abc import Mapping, Sequence
from typing import Any

from pre2post.report.headline import GAIN, OTHER_KEYS


def dice_table(metrics: Mapping[str, Any], gains: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Return one row per mix and domain: mix, domain, dice, ci_low, ci_high, n, baseline, difference.

    The last two are None without a baseline. `metrics` is metrics/segmentation.json, `gains` are
    the rows of plots/segmentation_gains.csv with kind baseline.
    """
    baselines = {row["mix"]: row["baseline"] for row in gains}
    rows = []
    for mix in (name for name in metrics if name not in OTHER_KEYS):
        for domain, cell in metrics[mix].items():
            gain = metrics[GAIN].get(mix, {}).get(domain, {})
            rows.append(
                {
                    "mix": mix,
                    "domain": domain,
                    **{name: cell[name] for name in ("dice", "ci_low", "ci_high", "n")},
                    "baseline": baselines.get(mix),
                    "difference": gain.get("dice"),
                }
            )
    return rows
