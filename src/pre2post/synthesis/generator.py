"""A generator with the settings of its training, which come from its model card, not from params.yaml."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from pre2post.core.device import best_device
from pre2post.core.errors import InputError
from pre2post.core.paths import GENERATOR
from pre2post.image.params import IntensityParams, Phases, SliceSize
from pre2post.pipeline.model_card import SAME_AS_TRAINED, card_file, read_card

if TYPE_CHECKING:
    from pre2post.pix2pixhd.generator import Generator

BATCH_SIZE = 8  # slices; does not change the result
ORIGINAL_SUFFIXES = (".pth", ".pt")  # of the files of other implementations
OPTIONS = {
    "phases": "--output-phases",
    "size": "--size",
    "n4_bias_correction": "--n4 or --no-n4",
    "low_percentile": "--low-percentile",
    "high_percentile": "--high-percentile",
    "headroom": "--headroom",
}  # of `pre2post predict`, by setting


class SynthesisSettings(IntensityParams):
    """The parameters that must be those of the generator's training.

    phases: predicted phases, such as ["post1"]. size: pixels per side of a slice. The others set the intensity scale,
    as in section ingest of params.yaml.
    """

    phases: Phases
    size: SliceSize


@dataclass(frozen=True)
class LoadedGenerator:
    """A generator that is ready to predict: its network and the settings of its training."""

    network: "Generator"
    settings: SynthesisSettings

    def infer(self, slices: np.ndarray) -> np.ndarray:
        """Translate slices (z, size, size), normalised, to the same shape, or to (z, phases, size, size)."""
        from pre2post.pix2pixhd.infer import infer

        return infer(self.network, slices, BATCH_SIZE, len(self.settings.phases))


def load_generator(
    weights: str | Path | None = None,
    *,
    phases: list[str] | None = None,
    size: int | None = None,
    n4_bias_correction: bool | None = None,
    low_percentile: float | None = None,
    high_percentile: float | None = None,
    headroom: float | None = None,
    device: str | None = None,
) -> LoadedGenerator:
    """Load a generator with the settings of its card, such as generator.card.json next to generator.safetensors.

    Args:
        weights: file of this pipeline or of `pre2post import-weights`. None: artifacts/generator/generator.safetensors.
        phases: predicted phases, such as ["post1"].
        size: pixels per side of the slices on which the generator was trained.
        n4_bias_correction: whether the bias field is removed before the network and restored after it.
        low_percentile: of the pre-contrast volume, which becomes the network's 0.
        high_percentile: of the pre-contrast volume; the network's 1 is `headroom` times as far above the low one.
        headroom: see high_percentile.
        device: of torch, such as "cpu". None: the GPU, if there is one.

    The settings are needed only where the card lacks them. Raises InputError if one is missing or differs from the
    card, or if the weights are missing, damaged or not those of the card.
    """
    file = find_weights(weights)
    settings = read_settings(
        file,
        {
            "phases": phases,
            "size": size,
            "n4_bias_correction": n4_bias_correction,
            "low_percentile": low_percentile,
            "high_percentile": high_percentile,
            "headroom": headroom,
        },
    )
    return load_network(file, settings, device)


def find_weights(weights: str | Path | None) -> Path:
    """Return the file of weights, by default that of the pipeline. Raises InputError if it is not a file of weights."""
    file = GENERATOR if weights is None else Path(weights)
    if not file.exists():
        raise InputError(
            "the weights file is missing",
            file=file,
            expected="a generator's .safetensors file, with its card next to it",
            hint="name one with --weights" if weights is None else "correct the path",
        )
    if file.is_dir() or file.suffix in ORIGINAL_SUFFIXES:
        raise InputError(
            "this is not a weights file of this project",
            file=file,
            found="a folder" if file.is_dir() else f"a {file.suffix} file",
            expected="a .safetensors file",
            hint="convert weights of the original Pix2PixHD with `pre2post import-weights`",
        )
    return file


def read_settings(weights: Path, given: Mapping[str, Any]) -> SynthesisSettings:
    """Return the settings of some weights: from their card, and from `given` (None is no value) if the card lacks them.

    For weights without a card, print a warning. Raises InputError for a missing setting, one that differs from the
    card, an impossible one, and for weights that are not those of the card.
    """
    card = read_card(weights)
    if card is None:
        print(
            f"warning: {weights} has no card ({card_file(weights).name}): origin and training data are unknown",
            file=sys.stderr,
        )
    trained = trained_settings(card.params if card else {})
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in given.items():
        if trained.get(name, value) != value:
            raise InputError(
                "the weights were trained with another value of a setting",
                file=weights,
                found=f"{name} {value}",
                expected=f"{trained[name]}, as {card_file(weights).name} says",
                hint=f"leave out {OPTIONS[name]}, or use other weights",
            )
    missing = [name for name in OPTIONS if name not in trained and name not in given]
    if missing:
        raise InputError(
            "settings of the generator's training are unknown",
            file=weights,
            found=f"{'a card' if card else 'no card, so'} without {', '.join(missing)}",
            expected="those of the training; other values give wrong images",
            hint=f"give them: {', '.join(OPTIONS[name] for name in missing)}",
        )
    return check_settings(trained | given, card_file(weights) if card else weights)


def trained_settings(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that the parameters of a card hold."""
    sections = {name: values for name, values in params.items() if isinstance(values, dict)}
    return {key: sections[name][key] for name, key in SAME_AS_TRAINED if key in sections.get(name, {})}


def card_params(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return settings as the parameters of a card, by section; undo trained_settings."""
    params: dict[str, dict[str, Any]] = {}
    for section, key in SAME_AS_TRAINED:
        if key in settings:
            params.setdefault(section, {})[key] = settings[key]
    return params


def check_settings(settings: Mapping[str, Any], file: Path) -> SynthesisSettings:
    """Return complete settings as an object. Raises InputError for an impossible value."""
    try:
        return SynthesisSettings(**settings)
    except ValidationError as error:
        detail = error.errors()[0]
        raise InputError(
            "a setting of the generator is impossible",
            file=file,
            found=f"{'.'.join(map(str, detail['loc'])) or 'percentiles'} {detail['input']!r}",
            expected=detail["msg"],
        ) from None


def load_network(weights: Path, settings: SynthesisSettings, device: str | None = None) -> LoadedGenerator:
    """Load the network for these settings. Raises InputError if the file is damaged or the slices do not fit it."""
    from pre2post.pix2pixhd import checkpoint

    network = checkpoint.load_generator(weights).to(device or best_device())
    network.architecture.check_size(settings.size)
    return LoadedGenerator(network, settings)
