"""From a pre-contrast volume to its synthetic post-contrast volume, with a generator and its card alone."""

from pathlib import Path
from typing import TypeVar, overload

import numpy as np

from pre2post.core.errors import InputError, error_context
from pre2post.image.intensity import IntensityScale
from pre2post.image.itk import last_line
from pre2post.image.n4 import SHRINK, log_bias_field, remove_bias
from pre2post.image.volume import Volume, from_lps, to_lps
from pre2post.synthesis.generator import LoadedGenerator, load_generator
from pre2post.synthesis.volumes import synthetic_volumes

Weights = str | Path | LoadedGenerator
Image = TypeVar("Image", np.ndarray, Volume)


@overload
def predict(
    pre: np.ndarray, generator: Weights | None = None, *, phase: int | str | None = None
) -> np.ndarray | dict[str, np.ndarray]: ...


@overload
def predict(
    pre: Volume | str | Path, generator: Weights | None = None, *, phase: int | str | None = None
) -> Volume | dict[str, Volume]: ...


def predict(
    pre: np.ndarray | Volume | str | Path,
    generator: Weights | None = None,
    *,
    phase: int | str | None = None,
) -> np.ndarray | Volume | dict[str, np.ndarray] | dict[str, Volume]:
    """Predict the post-contrast volume of a pre-contrast volume, in the units and the geometry of the input.

    Args:
        pre: one of
            an array (z, y, x), or a slice (y, x), of any number type, whose axes run from the patient's feet to the
            head, from front to back and from right to left, in any linear units of intensity;
            a Volume, whose axes run in any direction, in scanner units;
            a path: NIfTI, MetaImage, a DICOM folder, or a single slice in the form of MAMA-SYNTH.
        generator: from load_generator, or its weights file. None: artifacts/generator/generator.safetensors.
        phase: which volume of a path with several to use: its number in time from 1, its name, "pre" or "post1".

    Returns float32 of the same shape: an array for an array, a Volume for a Volume or path. A generator of several
    phases returns a dictionary with one of them per phase, such as {"post1": ..., "post2": ...}.
    Raises InputError for unusable input, and for an array if the generator needs the bias correction N4, which needs
    the spacing.

    >>> import numpy as np
    >>> from pre2post import load_generator, predict
    >>> generator = load_generator("generator.safetensors", device="cpu")
    >>> pre = np.random.default_rng(0).random((4, 96, 96)) * 500
    >>> synthetic = predict(pre, generator)
    >>> synthetic.shape, synthetic.dtype
    ((4, 96, 96), dtype('float32'))
    """
    if not isinstance(generator, LoadedGenerator):
        generator = load_generator(generator)
    if isinstance(pre, str | Path):
        from pre2post.synthesis.inputs import read_input

        source = read_input(Path(pre), phase)
        with error_context(file=pre):
            return _one_or_all({name: source.restore(found) for name, found in source.predict(generator).items()})
    if phase is not None:
        raise InputError("only a path can hold several phases", found=f"phase {phase}", hint="leave out phase")
    if isinstance(pre, Volume):
        return _one_or_all(predict_phases(pre, generator))
    return _one_or_all(_predict_array(np.asarray(pre), generator))


def predict_phases(volume: Volume, generator: LoadedGenerator) -> dict[str, Volume]:
    """Return the synthetic volume of each phase, float32 in scanner units, in the exact geometry of `volume`.

    Each step is that of the stages ingest and synthesize. With N4, the bias field is removed before the network and
    restored after it: coils shade the output as they shade the input, so that voxels can be compared.
    """
    pre, settings = to_lps(volume), generator.settings
    log_field = _log_bias_field(pre) if settings.n4_bias_correction else None
    if log_field is not None:
        pre = pre.like(remove_bias(pre.array, log_field))
    scale = IntensityScale.from_pre(pre.array, settings.low_percentile, settings.high_percentile, settings.headroom)
    volumes = synthetic_volumes(pre, scale, settings.size, generator.infer)
    if log_field is not None:
        volumes = [synthetic.like(remove_bias(synthetic.array, -log_field)) for synthetic in volumes]
    return {phase: from_lps(synthetic, volume) for phase, synthetic in zip(settings.phases, volumes, strict=True)}


def _predict_array(array: np.ndarray, generator: LoadedGenerator) -> dict[str, np.ndarray]:
    if array.ndim not in (2, 3) or array.dtype.kind not in "iufb" or not array.size:
        raise InputError(
            "this is not a volume",
            found=f"an array of shape {array.shape} and type {array.dtype}",
            expected="shape (z, y, x) or (y, x), real numbers",
        )
    if not np.isfinite(array).all():
        raise InputError("the volume holds values that are not finite", expected="numbers")
    if generator.settings.n4_bias_correction:
        raise InputError(
            "the generator needs the bias correction N4, which needs the spacing",
            found="an array",
            expected="a Volume with its spacing in mm, or a path",
            hint="pass Volume(array, spacing=(x, y, z))",
        )
    stack = array if array.ndim == 3 else array[None]
    found = predict_phases(Volume(stack), generator)
    return {phase: volume.array.reshape(array.shape) for phase, volume in found.items()}


def _log_bias_field(pre: Volume) -> np.ndarray:
    """Return the logarithm of the bias field. N4 needs several planes, so a single one is repeated."""
    single = len(pre.array) == 1
    try:
        field = log_bias_field(Volume(np.repeat(pre.array, 2 * SHRINK, axis=0), pre.spacing) if single else pre)
    except RuntimeError as error:  # of ITK, such as for an axis that becomes empty when it is shrunk
        raise InputError(
            "the bias correction N4 is not possible",
            found=f"{len(pre.array)} slices; {last_line(error)}",
            expected=f"1 slice, or {2 * SHRINK} and more, with a body brighter than air",
        ) from None
    return field[:1] if single else field


def _one_or_all(found: dict[str, Image]) -> Image | dict[str, Image]:
    """Return the only image, or all by phase."""
    return next(iter(found.values())) if len(found) == 1 else found
