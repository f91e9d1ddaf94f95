"""Who is in the cohort: site, mask, naming of the series and traps of every case.

Naming styles (SeriesDescription of pre, post1, post2; SeriesNumbers). The phases of one case always have rising
AcquisitionTime; where they share a description, time is all that tells them apart.

    passes      ax dyn pre | ax dyn 1st pass | ax dyn 2nd pass                      5, 6, 7
    misspelled  ax dyn pre | ax dyn 1st pas | ax dyn 2nd pass                       5, 6, 7
    multiphase  ax 3d dyn | Ph1/ax 3d dyn (MP) | Ph2/ax 3d dyn (MP)                 6, 601, 602
    dynamic     ax dynamic, three times                                             4, 5, 6
    vibrant     Ax Vibrant MultiPhase, three times, with TriggerTime                700, 701, 702
    all_pre     ax dyn pre, three times: the post series are labelled as pre        8, 11, 13
    views       t1_fl3d_tra_dynVIEWS_spair, three times                             12, 13, 14
    spair       t1_fl3d_tra_dynVIEWS_spair_pre | .._spair_1st pass | .._spair_2nd pass    9, 10, 11

A slash does not reach the folder name. Traps, in any combination:

    descending  InstanceNumber and file number rise towards the feet
    rotated     the picture is turned by 180 degrees: ImageOrientationPatient -1, 0, 0, 0, -1, 0
    duplicated  post1 is exported twice: same pixels, number, description and time, other SeriesInstanceUID and folder
    plain_t1    an earlier series `ax t1` (SeriesNumber 3) without fat suppression, ScanOptions without FS: leave it out
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
WORK = ".work"  # and of what is being written
EXTERNAL_SHARE, MASKED_SHARE = 8 / 58, 20 / 58  # of the cohort: site B, all masked, and masked patients of site A;
# the rest, most as in the real cohort, has no mask
FEWEST = 6  # cases, so that each role has two


@dataclass(frozen=True)
class CaseSource:
    """One case; `number` counts from 1 and seeds its anatomy."""

    number: int
    site: str
    masked: bool
    style: str
    traps: frozenset[str]

    @property
    def id(self) -> str:
        return f"Breast_MRI_{self.number:03d}"


def make_roster(cases: int, seed: int) -> list[CaseSource]:
    """All cases by number, the roles shuffled among them. Raises InputError for a cohort too small for each role."""
    if cases < FEWEST:
        raise InputError(
            "the cohort is too small",
            found=f"--cases {cases}",
            expected=f"at least {FEWEST}",
            hint="ask for more cases",
        )
    external = max(2, round(cases * EXTERNAL_SHARE))
    masked = min(max(2, round(cases * MASKED_SHARE)), cases - external - 2)
    roles = (
        [("B", True, k) for k in range(external)]
        + [("A", True, k) for k in range(masked)]
        + [("A", False, k) for k in range(cases - external - masked)]
    )
    order = np.random.default_rng([seed, 0]).permutation(cases)
    return [_entry(number, *roles[place]) for number, place in enumerate(order, start=1)]


def _entry(number: int, site: str, masked: bool, k: int) -> CaseSource:
    """The `k`th case of its role: styles and traps come round at different rates, so each role meets most of them."""
    traps = {"descending": k % 3 == 1, "rotated": k % 5 == 2, "duplicated": k % 8 == 6, "plain_t1": k % 4 == 3}
    styles = SITE_STYLES[site]
    return CaseSource(
        number, site, masked, styles[k % len(styles)], frozenset(name for name, on in traps.items() if on)
    )
