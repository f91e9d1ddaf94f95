"""The scanner: coils, flow, motion, k-space and Rician noise turn the signal of a patient into volumes."""

from collections.abc import Sequence

import numpy as np

from pre2post.phantom.fat import residual_fat
from pre2post.phantom.grid import Grid
from pre2post.phantom.motion import REST, Motion, move
from pre2post.phantom.noise import NoiseField
from pre2post.phantom.patient import Patient
from pre2post.phantom.signal import inflow, inflow_pulses, magnetisation, tissue_signal
from pre2post.phantom.sites import Site

LOOP = (46.0, 58.0)  # mm, radius of a loop of the breast coil
BODY_COIL = (0.1, 0.55)  # sensitivity of the uniform part, relative to the middle of a breast


def acquire(
    patient: Patient,
    site: Site,
    minutes: Sequence[float],
    rng: np.random.Generator,
    motions: Sequence[Motion] | None = None,
    noisy: bool = True,
) -> list[np.ndarray]:
    """Return one volume (z, y, x) in scanner units per time in `minutes` after the bolus (0: before it).

    `motions` moves the patient in each phase; None: at rest. Volumes are integers. If not `noisy`, the same random
    numbers are drawn, but volumes are the noise-free float64 signal before rounding.
    """
    fat = residual_fat(patient, site, rng)
    coils, flow = coil_sensitivity(patient.grid, rng), _flow(patient, rng)
    fresh = inflow_pulses(patient.grid, site, rng)
    scale = site.gain / float(tissue_signal("gland", site))
    noise = site.gain * site.noise * rng.uniform(0.8, 1.25) * noise_profile(patient)
    volumes = []
    for phase, (minute, motion) in enumerate(zip(minutes, motions or [REST] * len(minutes), strict=True)):
        drift = 1 + (rng.normal(0, 0.01) if phase else 0)  # of the receiver gain between phases
        image = magnetisation(patient, site, minute, fat) + inflow(patient, site, minute, fresh)
        image = move(image * flow, motion, patient.grid) * coils * (scale * drift)
        volumes.append(_receive(image, noise, site, rng, noisy))
    return volumes


def acquire_plain(patient: Patient, site: Site, rng: np.random.Generator) -> np.ndarray:
    """Return the T1-weighted volume without fat suppression with which many protocols begin."""
    coils = coil_sensitivity(patient.grid, rng) * _flow(patient, rng)
    scale = site.gain / float(tissue_signal("gland", site))
    image = magnetisation(patient, site, 0.0, np.ones(patient.grid.shape)) * coils * scale
    return _receive(image, site.gain * site.noise * noise_profile(patient), site, rng)


def coil_sensitivity(grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Return the root sum of squares of four breast loops plus a uniform body coil; near 1 in the breasts.

    The sensitivity of a loop of radius R falls along its axis as (1 + (d/R)²)^-1.5 (Biot and Savart).
    """
    x, y, z = grid.axes()
    power: float | np.ndarray = 0.0
    radius = rng.uniform(*LOOP)
    for side in (-1, 1):
        for away in (25, 125):
            d2 = (x - side * away) ** 2 + (y + 30 + rng.normal(0, 5)) ** 2 + (0.5 * (z - rng.normal(0, 8))) ** 2
            power = power + (rng.uniform(0.9, 1.1) * (1 + d2 / radius**2) ** -1.5) ** 2
    centre = np.sqrt(2 * (1 + 47**2 / radius**2) ** -3)  # between the two loops of a breast
    return rng.uniform(*BODY_COIL) + 0.9 * np.sqrt(power) / centre


def _flow(patient: Patient, rng: np.random.Generator) -> np.ndarray:
    """Return the patchy signal loss by heart motion and blood flow, equal before and after contrast."""
    moving = np.clip(patient.body.share("heart") + patient.body.share("blood"), 0, 1) * (patient.pleura < 0)
    return 1 - moving * np.clip(0.2 + 0.17 * NoiseField(rng, 6).on(patient.grid), 0, 0.7)


def noise_profile(patient: Patient) -> np.ndarray:
    """Return the noise gain of parallel imaging with a calibrated object mask.

    Noise is amplified deep in the body (g-factor; Pruessmann et al., Magn Reson Med 42:952, 1999). It vanishes where
    the calibration has no signal: beyond about 22 mm outside the skin and deep in the lungs.
    """
    outside = 1 / (1 + np.exp(np.clip((patient.skin - 20) / 2, -40, 40)))
    deep_lung = np.exp(-np.maximum(-patient.pleura - 14, 0) / 8)
    lung = patient.body.share("lung")
    return outside * (0.5 + 0.7 * np.clip((6 - patient.skin) / 50, 0, 1)) * (1 - lung * (1 - deep_lung))


def _receive(
    image: np.ndarray, noise: np.ndarray, site: Site, rng: np.random.Generator, noisy: bool = True
) -> np.ndarray:
    """Filter the image in k-space, add complex noise, and round the magnitude to integers.

    The magnitude of a signal in complex Gaussian noise is Rician: Gudbjartsson and Patz, Magn Reson Med 34:910 (1995).
    """
    clean = np.fft.irfft2(np.fft.rfft2(image) * _fermi(image.shape), s=image.shape[1:])
    real, imaginary = rng.standard_normal(image.shape), rng.standard_normal(image.shape)
    if not noisy:
        return np.abs(clean)
    magnitude = np.sqrt((clean + noise * real) ** 2 + (noise * imaginary) ** 2)
    largest = 2 ** (site.bits - 1) - 1 if site.signed else 2**site.bits - 1
    return np.clip(np.rint(magnitude), 0, largest).astype(np.int16 if site.signed else np.uint16)


def _fermi(shape: tuple[int, ...]) -> np.ndarray:
    """Return the filter over (ky, kx >= 0) that vendors apply against ringing."""
    ky, kx = np.meshgrid(np.fft.fftfreq(shape[1]), np.fft.rfftfreq(shape[2]), indexing="ij")
    return 1 / (1 + np.exp((np.sqrt(ky**2 + kx**2) - 0.47) / 0.03))
