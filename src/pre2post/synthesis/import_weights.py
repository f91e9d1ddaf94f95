"""Conversion of weights of the original Pix2PixHD into a safetensors file with a model card."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pre2post.cohort.patients import RELEASED, digest, training_patients
from pre2post.core.errors import InputError
from pre2post.pipeline.model_card import write_card

PUBLISHED_SETTINGS: dict[str, Any] = {
    "phases": ["post1"],
    "size": 512,
    "n4_bias_correction": False,
    "low_percentile": 0.0,
    "high_percentile": 100.0,
    "headroom": 1.0,
}  # of the released weights: slices of 512 pixels, each volume scaled from its minimum to its maximum


def import_weights(old: Path, new: Path, trained_on: str = RELEASED, settings: Mapping[str, Any] | None = None) -> str:
    """Convert the .pth file `old` of the original implementation to the .safetensors file `new`; return a description.

    trained_on: the training patients, see cohort.patients.training_patients.
    settings: those of its training, for the card, see synthesis.generator.SynthesisSettings; for the released weights
    the published ones are the default.
    Raises InputError if `old` is not such a network, or for another unusable argument.
    """
    if new.suffix != ".safetensors" or new.is_dir():  # swapped names would destroy the original
        raise InputError(
            "this cannot be written",
            file=new,
            expected="the name of a .safetensors file",
            found="a folder" if new.is_dir() else f"a name ending in {new.suffix!r}",
            hint="give the file of the original first, the file to write second",
        )
    patients = training_patients(trained_on)
    given = {name: value for name, value in (settings or {}).items() if value is not None}
    from pre2post.pix2pixhd.generator import Generator
    from pre2post.pix2pixhd.original_weights import read_original
    from pre2post.synthesis.generator import card_params, check_settings

    check_settings(PUBLISHED_SETTINGS | given, new)
    original = read_original(old)
    known = (PUBLISHED_SETTINGS if trained_on == RELEASED else {}) | given
    params: dict[str, Any] = {}
    if isinstance(original.network, Generator):
        params = card_params(known)
        if "size" in given:
            original.network.architecture.check_size(given["size"])
    digests = None if patients is None else sorted(map(digest, patients))
    original.save(new, digests)
    source = f"{old.name}, sha256 {original.sha256}"
    write_card(new, str(original), n_patients=None if digests is None else len(digests), params=params, source=source)
    origin = f"{len(patients)} patients ({trained_on})" if patients else "unknown patients"
    return f"{old} (sha256 {original.sha256}): {original}; written to {new}, as trained on {origin}"
