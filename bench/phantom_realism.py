"""Measure how hard the phantom is: `python bench/phantom_realism.py [--cases 160] [--unmasked]`.

Prints the best single threshold with its Dice, and median and 10th and 90th percentiles of the other measures in
`pre2post.phantom.realism`, for the cases with a mask, or only for those without.
"""

import argparse

import numpy as np

from pre2post.phantom.case import acquire_case
from pre2post.phantom.realism import (
    THRESHOLDS,
    brighter_area,
    contrast_to_noise,
    in_units_of_pre,
    pre_level,
    rank_in_subtraction,
    threshold_dice,
)
from pre2post.phantom.roster import PhantomCase, make_roster

BACK = 30.0  # mm behind the skin over the sternum: behind it is the armpit


def measure(case: PhantomCase, seed: int, matrix: int, slices: int) -> tuple[np.ndarray, dict[str, float]]:
    """Return the Dice of each threshold and the other measures of one case."""
    scan = acquire_case(case, seed, matrix, slices)
    patient = scan.patient
    pre, post = in_units_of_pre(scan.volumes[0].astype(float), scan.volumes[1].astype(float))
    breasts = patient.breasts() & (patient.grid.axes()[1] < BACK)
    gland = (patient.body.share("gland") > 0.5) & breasts & ~patient.tumour
    return threshold_dice(post, patient.tumour, breasts), {
        "pre level": pre_level(pre, patient.tumour),
        "post level": pre_level(post, patient.tumour),
        "brighter area": brighter_area(post, patient.tumour),
        "rank in subtraction": rank_in_subtraction(pre, post, patient.tumour, breasts, patient.grid.spacing),
        "contrast to noise": contrast_to_noise(pre, post, patient.tumour, gland) if gland.sum() > 20 else np.nan,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("cases", 160), ("seed", 2026), ("matrix", 128), ("slices", 24)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--unmasked", action="store_true", help="the cases without a mask, which train the generator")
    options = parser.parse_args()
    roster = [case for case in make_roster(options.cases, options.seed) if case.masked != options.unmasked]
    found = [measure(case, options.seed, options.matrix, options.slices) for case in roster]
    dice = np.mean([one for one, _ in found], axis=0)
    print(f"{len(found)} cases: threshold {THRESHOLDS[dice.argmax()]:.1f}, Dice {dice.max():.3f}")
    for name in found[0][1]:
        values = np.array([measures[name] for _, measures in found])
        low, middle, high = np.nanpercentile(values, (10, 50, 90))
        print(f"{name:20s} median {middle:.2f}, 10th to 90th percentile {low:.2f} to {high:.2f}")
    ranks = np.array([measures["rank in subtraction"] for _, measures in found])
    print("among the first 1, 2, 3: " + ", ".join(f"{(ranks <= rank).mean():.2f}" for rank in (1, 2, 3)))


if __name__ == "__main__":
    main()
