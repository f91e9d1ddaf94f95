"""Tumours of 5 to 40 mm in or at the gland: irregular masses and non-mass enhancement.

Masses are lobulated, some spiculated, some with a core that does not enhance. Non-mass cancers are segmental: clumps
in a cone towards the nipple, with normal tissue between them, which enhance less. See Rosen et al., Breast J 13:545
(2007); Chadashvili et al., AJR 204:219 (2015).
K^trans of cancers ranges from 0.03 to 1 1/min: Tofts et al., J Magn Reson Imaging 10:223 (1999); Huang et al., Transl
Oncol 7:153 (2014). The medians below are assumptions within that range. Some enhance hardly: Ghai et al., AJR 185:481
(2005).
"""

from dataclasses import dataclass

import numpy as np

from pre2post.phantom.breast import Breast

DIAMETERS = (5.0, 40.0)  # mm, smallest and largest
MEDIAN_DIAMETER = 20.0  # mm; most cancers of the Duke cohort are T1 or T2: Saha et al., Br J Cancer 119:508 (2018)
NON_MASS = 0.2  # share of the cancers
K_TRANS = {"mass": 0.19, "non-mass": 0.15}  # median, 1/min
SPREAD = 0.65  # of its logarithm
K_RANGE = (0.03, 1.0)
WEAK, WEAK_RANGE = 0.08, (0.03, 0.06)  # share of weakly enhancing cancers, and their K^trans


@dataclass(frozen=True)
class Tumour:
    """`radius` mm before lobulation; `semi_axes` as shares of it; kinetics: K^trans 1/min, v_e, v_p.

    `axis`: unit vector to the nipple along which a non-mass cancer extends; None: a mass.
    """

    centre: tuple[float, float, float]
    radius: float
    semi_axes: tuple[float, float, float]
    spicules: int
    core: float  # share of the radius without contrast uptake; 0: no core
    compact: float  # share of tumour tissue in the mass; the rest is the tissue before
    transfer: float
    extravascular: float
    plasma: float
    axis: tuple[float, float, float] | None = None

    @property
    def kind(self) -> str:
        return "non-mass" if self.axis else "mass"


def draw_tumours(rng: np.random.Generator, breasts: list[Breast]) -> list[Tumour]:
    """Draw one tumour, and in a fifth of the patients a second, smaller one in the same breast."""
    breast = breasts[int(rng.integers(2))]
    first = _draw(rng, breast, 1.0)
    return [first, _draw(rng, breast, 0.6)] if rng.random() < 0.2 else [first]


def _draw(rng: np.random.Generator, breast: Breast, size: float) -> Tumour:
    diameter = float(np.clip(size * MEDIAN_DIAMETER * np.exp(rng.normal(0, 0.50)), *DIAMETERS))
    direction = rng.normal(0, 1, 3) * (1, 1, 0.8)
    place = rng.uniform(0.35, 0.95) * direction / np.sqrt((direction**2).sum())
    centre = breast.gland_centre + place * breast.gland_axes * np.minimum(1, 26 / breast.gland_axes)
    radius = diameter / 2
    if rng.random() < NON_MASS:
        return _draw_non_mass(rng, breast, centre, min(max(1.5 * radius, 11.0), 20.0))
    semi_axes = rng.uniform(0.75, 1.3, 3)
    return Tumour(
        tuple(centre),
        radius,
        tuple(semi_axes / semi_axes.prod() ** (1 / 3)),
        spicules=int(rng.integers(10, 22)) if rng.random() < 0.45 else 0,
        core=rng.uniform(0.35, 0.55) if radius > 9 and rng.random() < 0.4 else 0.0,
        compact=rng.uniform(0.88, 1.0),
        transfer=_transfer(rng, "mass"),
        extravascular=rng.uniform(0.28, 0.58),
        plasma=rng.uniform(0.03, 0.08),
    )


def _draw_non_mass(rng: np.random.Generator, breast: Breast, centre: np.ndarray, radius: float) -> Tumour:
    towards = breast.nipple - centre
    x, y, z = towards / np.sqrt((towards**2).sum())
    return Tumour(
        tuple(centre),
        radius,
        (1.35, rng.uniform(0.5, 0.75), rng.uniform(0.5, 0.75)),
        spicules=0,
        core=0.0,
        compact=rng.uniform(0.65, 0.9),
        transfer=_transfer(rng, "non-mass"),
        extravascular=rng.uniform(0.28, 0.58),
        plasma=rng.uniform(0.02, 0.05),
        axis=(x, y, z),
    )


def _transfer(rng: np.random.Generator, kind: str) -> float:
    """Draw K^trans in 1/min; a few cancers enhance weakly."""
    usual = float(np.clip(K_TRANS[kind] * np.exp(rng.normal(0, SPREAD)), *K_RANGE))
    return float(rng.uniform(*WEAK_RANGE)) if rng.random() < WEAK else usual
