"""Incomplete suppression of the fat signal."""

import numpy as np

from pre2post.phantom.noise import NoiseField
from pre2post.phantom.patient import Patient
from pre2post.phantom.shapes import ramp
from pre2post.phantom.sites import Site

FAILED = (0.3, 0.7)  # share of the fat signal that remains where suppression fails
OFF = (1.4, 2.7)  # relative field offset at which suppression begins to fail, and fails


def residual_fat(patient: Patient, site: Site, rng: np.random.Generator) -> np.ndarray:
    """Return the share of the fat signal left by suppression; it follows the field inhomogeneity.

    Suppression is weak near the skin and fails where the field is far off: in patches at the edges of the breasts, in
    the armpits and at the ends of the field of view. Harvey et al., Radiographics 27:S131 (2007).
    """
    x, _, z = patient.grid.axes()
    level = site.residual_fat * rng.uniform(0.7, 1.5)
    surface = np.exp(np.minimum(patient.skin, 0) / 10)
    smooth = np.exp(0.35 * NoiseField(rng, 45).on(patient.grid))
    edges = 0.7 * surface + 0.8 * (z / 60) ** 4 + 0.7 * ramp(np.abs(x), 100, 150)
    failed = rng.uniform(*FAILED) * ramp(0.9 * NoiseField(rng, 40).on(patient.grid) + edges, *OFF)
    return np.clip(np.maximum(level * smooth * (1 + 0.5 * surface), failed), 0, 0.9)
