"""Correction of the smooth brightness that coils leave, by N4 (Tustison et al., IEEE Trans. Med. Imaging 29, 2010)."""

import numpy as np

from pre2post.image.volume import Volume, to_image

SHRINK = 4  # in the plane, as in the published preprocessing; the field is smooth, so nothing is lost
HISTOGRAM_BINS = 200  # of the Otsu threshold that separates the body from air


def log_bias_field(volume: Volume) -> np.ndarray:
    """The natural logarithm of the bias field of a volume (z, y, x), float32, at full resolution.

    Estimate it from the pre-contrast volume and apply it to every phase of a patient: the coils are the same for all,
    while an estimate of its own for each phase would take part of the enhancement for bias and remove it.
    """
    import SimpleITK as sitk

    image = to_image(volume)
    image = sitk.Cast(sitk.Maximum(image, _smallest_positive(volume.array)), sitk.sitkFloat32)  # N4 takes logarithms
    mask = sitk.OtsuThreshold(image, 0, 1, HISTOGRAM_BINS)
    factors = [SHRINK, SHRINK, _shrink_across(volume)]
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetNumberOfThreads(1)  # sums over threads would change the last digits with the number of cores
    n4.Execute(sitk.Shrink(image, factors), sitk.Shrink(mask, factors))
    return sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)).astype(np.float32)


def remove_bias(array: np.ndarray, log_field: np.ndarray) -> np.ndarray:
    """The array divided by the bias field, float32."""
    return (array / np.exp(log_field)).astype(np.float32)


def _shrink_across(volume: Volume) -> int:
    """Across the slices, shrink only as far as thin slices allow without passing the shrunken pixel's size."""
    return int(np.clip(round(SHRINK * volume.spacing[0] / volume.spacing[2]), 1, SHRINK))


def _smallest_positive(array: np.ndarray) -> float:
    positive = array[array > 0]
    return float(positive.min()) if positive.size else 1.0
