"""The cases of a cohort: site, mask, series names and traps of each.

Naming styles (SeriesDescription of pre, post1, post2; SeriesNumbers). The AcquisitionTime of the phases always rises;
where they share a description, only the time distinguishes them.

    passes      ax dyn pre | ax dyn 1st pass | ax dyn 2nd pass                      5, 6, 7
    misspelled  ax dyn pre | ax dyn 1st pas | ax dyn 2nd pass                       5, 6, 7
    multiphase  ax 3d dyn | Ph1/ax 3d dyn (MP) | Ph2/ax 3d dyn (MP)                 6, 601, 602
    dynamic     ax dynamic, three times                                             4, 5, 6
    vibrant     Ax Vibrant MultiPhase, three times, with TriggerTime                700, 701, 702
    all_pre     ax dyn pre, three times: the post series have the name of pre       8, 11, 13
    views       t1_fl3d_tra_dynVIEWS_spair, three times                             12, 13, 14
    spair       t1_fl3d_tra_dynVIEWS_spair_pre | .._spair_1st pass | .._spair_2nd pass    9, 10, 11

Folder names omit slashes. Traps, in any combination:

    descending  InstanceNumber and file number rise towards the feet
    rotated     the image is rotated by 180 degrees: ImageOrientationPatient -1, 0, 0, 0, -1, 0
    duplicated  post1 is exported twice: same pixels, number, description and time, other SeriesInstanceUID and folder
    plain_t1    an earlier series `ax t1` (SeriesNumber 3) without fat suppression (no FS in ScanOptions), to be skipped
"""

from dataclasses import dataclass

import numpy as np

from pre2post.core.errors import InputError


@dataclass(frozen=True)
class Style:
    descriptions: tuple[str, str, str]
    numbers: tuple[int, int, int]


STYLES = {
    "passes": Style(("ax dyn pre", "ax dyn 1st pass", "ax dyn 2nd pass"), (5, 6, 7)),
    "misspelled": Style(("ax dyn pre", "ax dyn 1st pas", "ax dyn 2nd pass"), (5, 6, 7)),
    "multiphase": Style(("ax 3d dyn", "Ph1/ax 3d dyn (MP)", "Ph2/ax 3d dyn (MP)"), (6, 601, 602)),
    "dynamic": Style(("ax dynamic",) * 3, (4, 5, 6)),
    "vibrant": Style(("Ax Vibrant MultiPhase",) * 3, (700, 701, 702)),
    "all_pre": Style(("ax dyn pre",) * 3, (8, 11, 13)),
    "views": Style(("t1_fl3d_tra_dynVIEWS_spair",) * 3, (12, 13, 14)),
    "spair": Style(
        (
            "t1_fl3d_tra_dynVIEWS_spair_pre",
            "t1_fl3d_tra_dynVIEWS_spair_1st pass",
            "t1_fl3d_tra_dynVIEWS_spair_2nd pass",
        ),
        (9, 10, 11),
    ),
}
SITE_STYLES = {
    "A": ("passes", "multiphase", "dynamic", "vibrant", "passes", "misspelled", "passes", "all_pre"),
    "B": ("views", "spair"),
}
IMAGES, MASKS = "Duke-Breast-Cancer-MRI", "segmentations"  # folders of the cohort
WORK = ".work"  # folder for unfinished cases
EXTERNAL_FRACTION = 30 / 160  # of the cohort: site B, all with a mask
MASKED_FRACTION = 70 / 160  # of the cohort: site A with a mask; the rest has none and trains the generator
MIN_CASES = 6  # at least two per role


@dataclass(frozen=True)
class PhantomCase:
    """One case to simulate; `number` counts from 1 and seeds its anatomy."""

    number: int
    site: str
    masked: bool
    style: str
    traps: frozenset[str]

    @property
    def id(self) -> str:
        return f"Breast_MRI_{self.number:03d}"


def make_roster(cases: int, seed: int) -> list[PhantomCase]:
    """Return all cases by number, with shuffled roles. Raises InputError below MIN_CASES."""
    if cases < MIN_CASES:
        raise InputError(
            "the cohort is too small",
            found=f"--cases {cases}",
            expected=f"at least {MIN_CASES}",
            hint="increase --cases",
        )
    external = max(2, round(cases * EXTERNAL_FRACTION))
    masked = min(max(2, round(cases * MASKED_FRACTION)), cases - external - 2)
    roles = (
        [("B", True, k) for k in range(external)]
        + [("A", True, k) for k in range(masked)]
        + [("A", False, k) for k in range(cases - external - masked)]
    )
    order = np.random.default_rng([seed, 0]).permutation(cases)
    return [_make_case(number, *roles[place]) for number, place in enumerate(order, start=1)]


def _make_case(number: int, site: str, masked: bool, k: int) -> PhantomCase:
    """Return the `k`th case of its role; styles and traps have different periods, so that most combinations occur."""
    traps = {"descending": k % 3 == 1, "rotated": k % 5 == 2, "duplicated": k % 8 == 6, "plain_t1": k % 4 == 3}
    styles = SITE_STYLES[site]
    return PhantomCase(
        number, site, masked, styles[k % len(styles)], frozenset(name for name, on in traps.items() if on)
    )
