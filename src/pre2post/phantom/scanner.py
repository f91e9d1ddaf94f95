"""The scanner: site protocols, spoiled gradient echo signal, fat suppression, coils, k-space, Rician noise."""

from dataclasses import dataclass

import numpy as np

from pre2post.phantom.grid import Grid, make_grid
from pre2post.phantom.kinetics import tissue_concentration
from pre2post.phantom.noise import NoiseField
from pre2post.phantom.patient import Patient
from pre2post.phantom.tissues import TISSUES


@dataclass(frozen=True)
class Site:
    """A scanner and its protocol. Times in ms, flip angle in degrees, relaxivities in 1/(mM s), lengths in mm."""

    name: str
    manufacturer: str
    model: str
    field: float
    repetition_time: float
    echo_time: float
    flip_angle: float
    field_of_view: float
    front: float  # y of the anterior edge of the field of view in the body frame
    matrix_ratio: float  # of this site to the requested matrix
    slices_ratio: float  # likewise, slices
    r1: float
    r2: float
    residual_fat: float  # mean share of the fat signal that remains after suppression
    noise: float  # standard deviation relative to the gland signal at full coil sensitivity
    gain: float  # gland signal at full coil sensitivity, scanner units
    bits: int
    signed: bool

    @property
    def strength(self) -> int:
        """Return the index into the pairs of relaxation times: 0 for 1.5 T, 1 for 3 T."""
        return 0 if self.field < 2 else 1

    def grid(self, matrix: int, slices: int) -> Grid:
        return make_grid(
            self.field_of_view,
            self.front,
            max(8, round(matrix * self.matrix_ratio)),
            max(4, round(slices * self.slices_ratio)),
        )


# Vendors, field strengths and protocol times as in the Duke cohort (Saha et al., Br J Cancer 119:508, 2018).
# r1 and r2 of gadobutrol in plasma at 37 C: Rohrer et al., Invest Radiol 40:715 (2005).
SITES = {
    "A": Site(
        name="A",
        manufacturer="GE MEDICAL SYSTEMS",
        model="SIGNA EXCITE",
        field=1.5,
        repetition_time=5.3,
        echo_time=2.4,
        flip_angle=10.0,
        field_of_view=320.0,
        front=-125.0,
        matrix_ratio=1.0,
        slices_ratio=1.0,
        r1=5.2,
        r2=6.1,
        residual_fat=0.055,
        noise=0.05,
        gain=420.0,
        bits=16,
        signed=True,
    ),
    "B": Site(
        name="B",
        manufacturer="SIEMENS",
        model="TrioTim",
        field=3.0,
        repetition_time=4.1,
        echo_time=1.5,
        flip_angle=10.0,
        field_of_view=340.0,
        front=-132.0,
        matrix_ratio=1.125,
        slices_ratio=20 / 24,
        r1=5.0,
        r2=7.1,
        residual_fat=0.05,
        noise=0.035,
        gain=150.0,
        bits=12,
        signed=False,
    ),
}


def spoiled_gradient_echo(
    t1: float | np.ndarray, t2_star: float | np.ndarray, density: float, site: Site
) -> np.ndarray:
    """Return the steady state S = M0 sin a (1 - E1) / (1 - cos a E1) exp(-TE / T2*), E1 = exp(-TR / T1), in ms.

    Ernst and Anderson, Rev Sci Instrum 37:93 (1966); Haase et al., J Magn Reson 67:258 (1986).
    """
    angle = np.deg2rad(site.flip_angle)
    e1 = np.exp(-site.repetition_time / t1)
    return density * np.sin(angle) * (1 - e1) / (1 - np.cos(angle) * e1) * np.exp(-site.echo_time / t2_star)


def tissue_signal(name: str, site: Site, concentration: float | np.ndarray = 0.0) -> np.ndarray:
    """Return the signal of a pure tissue with `concentration` (mM) of contrast agent, which adds r1 C and r2 C."""
    tissue = TISSUES[name]
    rate1 = 1 / tissue.t1[site.strength] + site.r1 * np.asarray(concentration) / 1000
    rate2 = 1 / tissue.t2_star[site.strength] + site.r2 * np.asarray(concentration) / 1000
    return spoiled_gradient_echo(1 / rate1, 1 / rate2, tissue.density, site)


def acquire(patient: Patient, site: Site, minutes: list[float], rng: np.random.Generator) -> list[np.ndarray]:
    """Return one integer volume (z, y, x) in scanner units per time in `minutes` after the bolus (0: before it)."""
    fat = residual_fat(patient, site, rng)
    coils = coil_sensitivity(patient.grid, rng) * _flow(patient, rng)
    scale = site.gain / float(tissue_signal("gland", site))
    noise = site.gain * site.noise * rng.uniform(0.8, 1.25) * noise_profile(patient)
    volumes = []
    for phase, minute in enumerate(minutes):
        drift = 1 + (rng.normal(0, 0.01) if phase else 0)  # of the receiver gain between phases
        shift = rng.normal(0, 0.25, 2) if phase else np.zeros(2)  # patient motion in mm
        image = magnetisation(patient, site, minute, fat) * coils * (scale * drift)
        volumes.append(_receive(image, noise, shift, patient.grid, site, rng))
    return volumes


def acquire_plain(patient: Patient, site: Site, rng: np.random.Generator) -> np.ndarray:
    """Return the T1-weighted volume without fat suppression with which many protocols begin."""
    coils = coil_sensitivity(patient.grid, rng) * _flow(patient, rng)
    scale = site.gain / float(tissue_signal("gland", site))
    image = magnetisation(patient, site, 0.0, np.ones(patient.grid.shape)) * coils * scale
    return _receive(image, site.gain * site.noise * noise_profile(patient), np.zeros(2), patient.grid, site, rng)


def magnetisation(patient: Patient, site: Site, minutes: float, fat: np.ndarray) -> np.ndarray:
    """Return the sum over tissues of share times signal, with the contrast agent present after `minutes`."""
    total = np.zeros(patient.grid.shape)
    for name, share in patient.body.shares.items():
        filled = share > 0
        signal = tissue_signal(name, site, _concentration(name, patient, filled, minutes))
        total[filled] += share[filled] * signal * (fat[filled] if name == "fat" else 1)
    return total


def _concentration(name: str, patient: Patient, filled: np.ndarray, minutes: float) -> float | np.ndarray:
    tissue = TISSUES[name]
    transfer: float | np.ndarray = tissue.transfer
    extravascular, plasma = tissue.extravascular, tissue.plasma
    if name == "tumour":
        transfer, (extravascular, plasma) = patient.tumour_transfer[filled], patient.tumour_volumes
    elif name == "gland":
        transfer = patient.gland_transfer[filled]
    return tissue_concentration(minutes, transfer, extravascular, plasma) if minutes > 0 else 0.0


def residual_fat(patient: Patient, site: Site, rng: np.random.Generator) -> np.ndarray:
    """Return the share of the fat signal left by suppression; it follows the field inhomogeneity, largest at edges."""
    level = site.residual_fat * rng.uniform(0.7, 1.5)
    smooth = np.exp(0.35 * NoiseField(rng, 45).on(patient.grid))
    return np.clip(level * smooth * (1 + 0.5 * np.exp(np.minimum(patient.skin, 0) / 10)), 0, 0.6)


def coil_sensitivity(grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Return the root sum of squares of four breast loops plus a uniform body coil; near 1 in the breasts.

    The sensitivity of a loop of radius R falls along its axis as (1 + (d/R)²)^-1.5 (Biot and Savart).
    """
    x, y, z = grid.axes()
    power: float | np.ndarray = 0.0
    for side in (-1, 1):
        for away in (25, 125):
            d2 = (x - side * away) ** 2 + (y + 30 + rng.normal(0, 5)) ** 2 + (0.5 * (z - rng.normal(0, 8))) ** 2
            power = power + (rng.uniform(0.9, 1.1) * (1 + d2 / 62**2) ** -1.5) ** 2
    return 0.08 + 1.15 * np.sqrt(power)


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
    image: np.ndarray, noise: np.ndarray, shift: np.ndarray, grid: Grid, site: Site, rng: np.random.Generator
) -> np.ndarray:
    """Filter and shift (mm) the image in k-space, add complex noise, and round the magnitude to integers.

    The magnitude of a signal in complex Gaussian noise is Rician: Gudbjartsson and Patz, Magn Reson Med 34:910 (1995).
    """
    ky, kx = np.meshgrid(np.fft.fftfreq(image.shape[1]), np.fft.fftfreq(image.shape[2]), indexing="ij")
    radius = np.sqrt(ky**2 + kx**2)
    window = 1 / (1 + np.exp((radius - 0.47) / 0.03))  # Fermi filter, as vendors apply it against ringing
    turn = np.exp(-2j * np.pi * (kx * shift[0] / grid.spacing[0] + ky * shift[1] / grid.spacing[1]))
    clean = np.fft.ifft2(np.fft.fft2(image) * (window * turn))
    noisy = clean + noise * (rng.standard_normal(image.shape) + 1j * rng.standard_normal(image.shape))
    largest = 2 ** (site.bits - 1) - 1 if site.signed else 2**site.bits - 1
    return np.clip(np.rint(np.abs(noisy)), 0, largest).astype(np.int16 if site.signed else np.uint16)
