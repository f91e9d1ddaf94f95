"""Patients drawn with replacement: what means and Frechet distances become, without going back to the images."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np

from pre2post.metrics.frechet import Moments, moments, pooled

WIDE = 128  # features kept of each patient; more are turned into this many along random orthonormal axes
AXES = 32  # of most variance over the real set, along which distances are drawn: ten times as fast as along a
# hundred, and from draw to draw checkpoints differ as in the whole distance (correlation above 0.999)
BLOCK = 100  # draws at a time: their covariances lie in memory at once


class PatientMoments:
    """Moments of each patient's feature vectors, along a few fixed axes where there are many features."""

    def __init__(self):
        self.by_patient: dict[str, Moments] = {}

    def add(self, features: np.ndarray, patients: Sequence[str]) -> None:
        """Adds feature vectors (n, d), each with its patient."""
        patients = np.asarray(patients, dtype=str)
        features = _narrowed(np.asarray(features, dtype=np.float64))
        for patient in dict.fromkeys(patients.tolist()):
            part, known = moments(features[patients == patient]), self.by_patient.get(patient)
            self.by_patient[patient] = pooled([known, part]) if known else part


def draw_patients(patients: int, draws: int, seed) -> np.ndarray:
    """How often each patient is drawn (draws, patients): `patients` draws with replacement, `draws` times."""
    return np.random.default_rng(seed).multinomial(patients, np.full(patients, 1 / patients), size=draws)


def resampled_means(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Means (draws,) of one value a patient (patients,) under counts (draws, patients); NaN where one is infinite."""
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():  # the PSNR of equal images
        return np.full(len(counts), np.nan)
    return counts @ values / counts.sum(axis=1)


def resampled_distances(
    real: Sequence[Moments], others: Mapping[str, Sequence[Moments]], counts: np.ndarray, threads: int = 1
) -> dict[str, np.ndarray]:
    """Squared Frechet distance (draws,) of each other set to the real one, the same patients drawn on both sides.

    Moments are those of each patient, in one order; counts (draws, patients) say how often each is drawn. Distances are
    taken along the AXES principal axes of the real set; with fewer features they are whole. With C1 = R R, the
    eigenvalues of C1 C2 are those of R C2 R, which is symmetric.
    """
    whole = pooled(real)
    axes = _principal_axes(whole)
    sums = {name: _sums(parts, whole.mean, axes) for name, parts in {"": real, **others}.items()}
    found = {name: [] for name in others}
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(counts), BLOCK):
            block = counts[start : start + BLOCK]
            mean, covariance = _drawn(sums[""], block)
            roots = _roots(covariance)
            tasks = {name: pool.submit(_distances, mean, covariance, roots, sums[name], block) for name in others}
            for name, task in tasks.items():
                found[name].append(task.result())
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _principal_axes(real: Moments) -> np.ndarray:
    """(d, a): the AXES directions of most variance; all directions where there are no more features than that."""
    d = len(real.mean)
    return np.eye(d) if d <= AXES else np.linalg.svd(real.factor)[2][:AXES].T


def _sums(parts: Sequence[Moments], centre: np.ndarray, axes: np.ndarray) -> tuple[np.ndarray, ...]:
    """Numbers (p,), sums (p, a) and sums of products (p, a, a) of patients' vectors, from `centre` along `axes`."""
    n = np.array([part.n for part in parts], dtype=np.float64)
    mean = np.stack([(part.mean - centre) @ axes for part in parts])
    factors = [part.factor @ axes for part in parts]
    products = np.stack([factor.T @ factor for factor in factors])
    return n, n[:, None] * mean, products + n[:, None, None] * mean[:, :, None] * mean[:, None, :]


def _drawn(sums, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means (draws, d) and covariances (draws, d, d) of the drawn patients' vectors."""
    n, first, second = sums
    total = counts @ n
    mean = counts @ first / total[:, None]
    products = np.tensordot(counts.astype(np.float64), second, 1) / total[:, None, None]
    covariance = (products - mean[:, :, None] * mean[:, None, :]) * (total / (total - 1))[:, None, None]
    return mean, covariance


def _roots(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))[:, None, :]) @ vectors.swapaxes(1, 2)


def _distances(mean, covariance, roots, sums, counts) -> np.ndarray:
    other_mean, other = _drawn(sums, counts)
    overlap = np.sqrt(np.maximum(np.linalg.eigvalsh(roots @ other @ roots), 0)).sum(axis=1)
    spread = np.trace(covariance + other, axis1=1, axis2=2) - 2 * overlap
    return np.maximum(np.square(mean - other_mean).sum(axis=1) + spread, 0)


def _narrowed(features: np.ndarray) -> np.ndarray:
    return features if features.shape[1] <= WIDE else features @ _random_axes(features.shape[1])


@lru_cache
def _random_axes(d: int) -> np.ndarray:
    """(d, WIDE) orthonormal columns."""
    return np.linalg.qr(np.random.default_rng(0).normal(size=(d, WIDE)))[0]
