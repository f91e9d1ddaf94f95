"""Bias field correction by N4 (Tustison et al., IEEE Trans. Med. Imaging 29, 2010)."""

import numpy as np

from pre2post.image.itk import to_image
from pre2post.image.volume import Volume

SHRINK = 4  # in plane, as in the published preprocessing; the field is smooth, so no detail is lost
HISTOGRAM_BINS = 200  # of the Otsu threshold that separates the body from air


def log_bias_field(volume: Volume) -> np.ndarray:
    """Return the natural logarithm of the bias field of a volume (z, y, x), float32, at full resolution.

    Estimate it from the pre-contrast volume and apply it to every phase of the patient: the coils are the same, and an
    estimate per phase would remove part of the enhancement as bias.
    """
    import SimpleITK as sitk

    image = to_image(volume)
    image = sitk.Cast(sitk.Maximum(image, _smallest_positive(volume.array)), sitk.sitkFloat32)  # N4 takes logarithms
    mask = sitk.OtsuThreshold(image, 0, 1, HISTOGRAM_BINS)
    factors = [SHRINK, SHRINK, _shrink_across(volume)]
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetNumberOfThreads(1)  # with more threads the last digits would depend on the number of cores
    n4.Execute(sitk.Shrink(image, factors), sitk.Shrink(mask, factors))
    return sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)).astype(np.float32)


def remove_bias(array: np.ndarray, log_field: np.ndarray) -> np.ndarray:
    """Divide an array by the bias field; return float32."""
    return (array / np.exp(log_field)).astype(np.float32)


def _shrink_across(volume: Volume) -> int:
    """Return the shrink factor across slices, such that the slice spacing stays below the shrunken pixel size."""
    return int(np.clip(round(SHRINK * volume.spacing[0] / volume.spacing[2]), 1, SHRINK))


def _smallest_positive(array: np.ndarray) -> float:
    positive = array[array > 0]
    return float(positive.min()) if positive.size else 1.0
