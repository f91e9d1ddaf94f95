"""Contrast agent in blood and tissue: population arterial input and extended Tofts model. Minutes and mM.

Arterial input: Parker et al., Magn Reson Med 56:993 (2006), equation 1 and table 1 (dose 0.1 mmol/kg).
Tissue: Tofts et al., J Magn Reson Imaging 10:223 (1999), extended by the plasma term v_p C_p.
"""

import numpy as np

HAEMATOCRIT = 0.42  # Parker et al. 2006, converts blood to plasma concentration
TIME_STEP = 0.5 / 60  # min; the first pass is about 0.2 min wide


def blood_concentration(minutes: float | np.ndarray) -> np.ndarray:
    """Return the gadolinium concentration of whole arterial blood, mM, `minutes` after bolus arrival."""
    t = np.asarray(minutes, dtype=float)
    gaussians = sum(
        area / (width * np.sqrt(2 * np.pi)) * np.exp(-((t - centre) ** 2) / (2 * width**2))
        for area, centre, width in ((0.809, 0.17046, 0.0563), (0.330, 0.365, 0.132))
    )
    washout = 1.050 * np.exp(-0.1685 * t) / (1 + np.exp(-38.078 * (t - 0.483)))
    return np.where(t > 0, gaussians + washout, 0.0)


def plasma_concentration(minutes: float | np.ndarray) -> np.ndarray:
    return blood_concentration(minutes) / (1 - HAEMATOCRIT)


def tissue_concentration(
    minutes: float, transfer: float | np.ndarray, extravascular: float, plasma: float
) -> np.ndarray:
    """Return the concentration of the extended Tofts model: C = v_p C_p(t) + K ∫ C_p(s) exp(-K/v_e (t - s)) ds.

    `transfer` is K^trans in 1/min; `extravascular` (v_e) and `plasma` (v_p) are volume shares.
    """
    transfer = np.asarray(transfer, dtype=float)
    rate = transfer / extravascular
    return plasma * plasma_concentration(minutes) + transfer * _washed_integral(minutes, rate)


def _washed_integral(minutes: float, rate: np.ndarray) -> np.ndarray:
    """Return ∫_0^t C_p(s) exp(-rate (t - s)) ds by the trapezoidal rule, tabulated over `rate` and interpolated."""
    if minutes <= 0:
        return np.zeros_like(rate)
    times = np.linspace(0, minutes, int(minutes / TIME_STEP) + 2)
    known = np.linspace(0, max(float(np.max(rate, initial=0)), 1e-3), 200)
    decayed = plasma_concentration(times) * np.exp(-known[:, None] * (minutes - times))
    table = (decayed[:, 1:] + decayed[:, :-1]).sum(1) / 2 * (times[1] - times[0])
    return np.interp(rate, known, table)
