"""Networks on disk: safetensors, which cannot run code, with the architecture and who trained it in the file's header.

Both are in one text: safetensors writes several in another order every time, and the bytes are to be the same.
"""

import errno
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from torch import nn

from pre2post.core.errors import InputError
from pre2post.core.files import atomic_path
from pre2post.pix2pixhd.architecture import Architecture
from pre2post.pix2pixhd.discriminator import MultiscaleDiscriminator
from pre2post.pix2pixhd.generator import make_generator

HEADER = "pix2pixhd"  # key of the header, as JSON, in the safetensors metadata
TRAINED_ON = "trained_on"  # key in the header: sorted digests of the training patients; absent: unknown
FULL_DISK = f"os error {errno.ENOSPC}"
READABLE = 0o644  # by all who may enter the folder: the library makes files that only their owner can read
DISCRIMINATOR = {"kind": "discriminator"}  # sets its header apart from a generator's


def save_generator(generator: nn.Module, path: Path, trained_on: Collection[str] | None = None) -> None:
    """Writes weights, architecture and who trained it, whole or not at all.

    trained_on: a digest of each training patient, so that a file can be told from one that has seen a patient without
    listing anybody; None: unknown.
    """
    _write(path, generator, asdict(generator.architecture), trained_on)


def save_discriminator(
    discriminator: MultiscaleDiscriminator, path: Path, trained_on: Collection[str] | None = None
) -> None:
    """Writes a discriminator as save_generator does a generator."""
    _write(path, discriminator, DISCRIMINATOR | discriminator.architecture, trained_on)


def load_generator(path: Path) -> nn.Module:
    """The generator in `path`, ready to run: (N, channels, H, W) in [-1, 1] to the same shape, in evaluation mode on
    the CPU.

    Raises InputError when the file is missing, damaged or not such a generator.
    """
    return _load(path, "generator", lambda header: make_generator(Architecture(**header)))


def load_discriminator(path: Path) -> MultiscaleDiscriminator:
    """The discriminator in `path`, as load_generator gives a generator: (N, 2 * channels, H, W) to a list of layer
    outputs a scale."""
    return _load(
        path,
        "discriminator",
        lambda header: MultiscaleDiscriminator(
            **{name: value for name, value in header.items() if name not in DISCRIMINATOR}
        ),
    )


def read_trained_on(path: Path) -> frozenset[str] | None:
    """The digests of the patients who trained the network in `path`; None where the file does not say.

    Raises InputError when the file is missing or damaged.
    """
    from safetensors import safe_open

    with _readable(path), safe_open(path, framework="pt") as file:
        header = (file.metadata() or {}).get(HEADER, "{}")
    try:
        patients = json.loads(header).get(TRAINED_ON)
        if not isinstance(patients, (list, type(None))):
            raise TypeError(f"{TRAINED_ON} is no list")
        return None if patients is None else frozenset(patients)
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            "the weights do not say in a readable way who trained them",
            file=path,
            found=error,
            hint="use a file that this pipeline or src/import_weights.py wrote",
        ) from None


def _write(path: Path, network: nn.Module, architecture: dict, trained_on: Collection[str] | None) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    header = architecture if trained_on is None else architecture | {TRAINED_ON: sorted(trained_on)}
    weights = {name: weight.contiguous() for name, weight in network.state_dict().items()}
    with atomic_path(path) as temporary:
        try:
            save_file(weights, temporary, metadata={HEADER: json.dumps(header)})
        except SafetensorError as error:  # which hides the operating system's reason in its text
            raise OSError(errno.ENOSPC if FULL_DISK in str(error) else errno.EIO, str(error), str(path)) from None
        temporary.chmod(READABLE)


def _load(path: Path, word: str, build) -> nn.Module:
    import torch

    weights, metadata = _read(Path(path))
    try:
        header = json.loads(metadata[HEADER])
        header.pop(TRAINED_ON, None)
        if (header["kind"] == "discriminator") != (word == "discriminator"):
            raise ValueError(f"the weights of a {header['kind']} network")
        with torch.device("meta"):  # no memory and no time for initial weights that are replaced at once
            network = build(header)
        network.load_state_dict(weights, assign=True)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"these are not the weights of a {word} of this project",
            file=path,
            found=" ".join(str(error).split())[:200],
            expected=f"a header {HEADER!r} and matching weights",
            hint="use a file that this pipeline or src/import_weights.py wrote",
        ) from None
    return network.eval().requires_grad_(False)


def _read(path: Path) -> tuple[dict, dict]:
    from safetensors import safe_open

    with _readable(path), safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns what safetensors raises of a missing or damaged file into an InputError."""
    from safetensors import SafetensorError

    try:
        yield
    except FileNotFoundError:
        raise InputError("the weights file is missing", file=path, hint="run `dvc repro`, or `dvc pull` it") from None
    except (SafetensorError, OSError) as error:
        raise InputError(
            "the weights file cannot be read",
            file=path,
            found=error,
            expected="a whole safetensors file",
            hint="delete it and run `dvc repro`, or `dvc pull` it again",
        ) from None
