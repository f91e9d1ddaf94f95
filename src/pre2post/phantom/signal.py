"""The signal of tissue: spoiled gradient echo, contrast agent, and inflow of fresh blood."""

import numpy as np

from pre2post.phantom.grid import Box, Grid
from pre2post.phantom.kinetics import tissue_concentration
from pre2post.phantom.patient import Patient
from pre2post.phantom.sites import Site
from pre2post.phantom.tissues import TISSUES

SLAB = 200.0  # mm, height of the excited slab, of which the grid covers the middle
EVERYWHERE = (slice(None),) * 3
SPEED = (60.0, 150.0)  # mm/s, mean over the heart cycle, of blood in heart and aorta


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


def magnetisation(patient: Patient, site: Site, minutes: float, fat: np.ndarray) -> np.ndarray:
    """Return the sum over tissues of share times signal, with the contrast agent present after `minutes`."""
    total = np.zeros(patient.grid.shape)
    for name, share in patient.body.shares.items():
        filled = share > 0 if name in patient.transfer else EVERYWHERE
        signal = tissue_signal(name, site, _concentration(name, patient, filled, minutes))
        total[filled] += share[filled] * signal * (fat if name == "fat" else 1)
    return total


def _concentration(name: str, patient: Patient, filled: np.ndarray | Box, minutes: float) -> float | np.ndarray:
    return tissue_concentration(minutes, *patient.kinetics(name, filled)) if minutes > 0 else 0.0


def inflow_pulses(grid: Grid, site: Site, rng: np.random.Generator) -> np.ndarray:
    """Return the pulses (z, 1, 1) that arterial blood has received since it entered the excited slab from above."""
    return (SLAB / 2 - grid.axes()[2]) / (rng.uniform(*SPEED) * site.repetition_time / 1000)


def inflow(patient: Patient, site: Site, minutes: float, pulses: np.ndarray) -> np.ndarray:
    """Return the additional signal of blood in the chest whose spins are not yet in the steady state.

    It decays from M0 sin a by E1 cos a per pulse: Haacke et al., Magnetic Resonance Imaging (1999), chapter 24.
    """
    tissue, angle = TISSUES["blood"], np.deg2rad(site.flip_angle)
    blood = patient.body.share("blood") * (patient.pleura < 0)
    concentration = float(_concentration("blood", patient, EVERYWHERE, minutes))
    rate = 1 / tissue.t1[site.strength] + site.r1 * concentration / 1000
    decay = (np.exp(-site.repetition_time * rate) * np.cos(angle)) ** pulses
    fresh = tissue.density * np.sin(angle) * np.exp(-site.echo_time / tissue.t2_star[site.strength])
    return blood * decay * (fresh - tissue_signal("blood", site, concentration))
