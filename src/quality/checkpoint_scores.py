"""The metrics that SAMe compares, for one checkpoint on the validation slices; the real side is worked out once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import InputError
from quality.features import Standard, standard_of
from quality.frechet import Moments, frechet_distance, moments
from quality.pixel import SIGMA, slice_metrics
from quality.random_features import random_features
from quality.texture_features import texture_features

Extractor = Callable[[np.ndarray], np.ndarray]

PIXEL_METRICS = ("ssim", "mse", "mae")


@dataclass(frozen=True)
class RealSlices:
    """Normalised real slices (n, h, w), each one's patient, and what each Frechet distance needs of the real side."""

    slices: np.ndarray
    patients: tuple[str, ...]
    features: dict[str, tuple[Extractor, Standard, Moments]]


def describe_real(slices: np.ndarray, patients: Sequence[str], seed: int) -> RealSlices:
    """Takes the real slices' features once; `seed` draws the random network. Raises InputError for unequal lengths."""
    if len(slices) != len(patients):
        raise InputError("every slice needs its patient", found=f"{len(slices)} slices, {len(patients)} patients",
                         todo="run `dvc repro cut_slices`")
    extractors = {"fd_random": lambda images: random_features(images, seed), "fd_texture": texture_features}
    described = {}
    for name, extract in extractors.items():
        found = extract(slices)
        standard = standard_of(found)
        described[name] = (extract, standard, moments(standard(found)))
    return RealSlices(slices, tuple(patients), described)


def score_checkpoint(real: RealSlices, synthetic: np.ndarray, sigma: float = SIGMA,
                     data_range: float = 1.0) -> dict[str, float]:
    """{"ssim", "mse", "mae", "fd_random", "fd_texture"} of a checkpoint's synthetic slices, in the order of the real
    ones.

    The first three are means over patients of the patient's mean over slices, so a patient with many slices counts no
    more. The distances are between the sets of slices, features in units of the real set's SD; comparable for equal
    slices and seed.
    Raises InputError for another shape than the real slices' or values that are not finite.
    """
    values = slice_metrics(real.slices, synthetic, data_range, sigma)
    scores = {name: float(np.mean(list(patient_means(values[name], real.patients).values()))) for name in PIXEL_METRICS}
    for name, (extract, standard, real_moments) in real.features.items():
        scores[name] = frechet_distance(real_moments, moments(standard(extract(synthetic))))
    return scores


def patient_means(values: np.ndarray, patients: Sequence[str]) -> dict[str, float]:
    """Mean of each patient's slice values (n,), patients in sorted order."""
    names, index = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    means = np.bincount(index, weights=values) / np.bincount(index)
    return {str(name): float(mean) for name, mean in zip(names, means, strict=True)}
