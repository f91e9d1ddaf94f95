"""Weights files of networks: safetensors, which cannot run code, with a header that describes the network.

The header is one JSON text under the key HEADER of the safetensors metadata: the fields of Architecture (or the
discriminator's sizes), and under TRAINED_ON the digests of the training patients. It is a single entry because the
library writes several entries in random order, and the bytes must be reproducible.
"""

import errno
import json
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor, nn

from pre2post.core.errors import InputError
from pre2post.core.files import atomic_path
from pre2post.pix2pixhd.architecture import Architecture
from pre2post.pix2pixhd.discriminator import MultiscaleDiscriminator
from pre2post.pix2pixhd.generator import Generator, make_generator

HEADER = "pix2pixhd"  # key of the safetensors metadata
TRAINED_ON = "trained_on"  # key in the header: sorted digests of the training patients; absent if unknown
DISCRIMINATOR = {"kind": "discriminator"}  # marks the header of a discriminator
FULL_DISK = f"os error {errno.ENOSPC}"
FILE_MODE = 0o644  # readable by all; the library creates files that only their owner can read
REIMPORT = "use a file written by this pipeline or by the import of weights"

Network = TypeVar("Network", bound=nn.Module)


def save_generator(generator: Generator, path: Path, trained_on: Collection[str] | None = None) -> None:
    """Write weights, architecture and the digests of the training patients, completely or not at all.

    trained_on: one digest per training patient, so that a patient can be recognised without a list of names; None if
    unknown.
    """
    _write(path, generator, asdict(generator.architecture), trained_on)


def save_discriminator(
    discriminator: MultiscaleDiscriminator, path: Path, trained_on: Collection[str] | None = None
) -> None:
    """Write a discriminator, like save_generator."""
    _write(path, discriminator, DISCRIMINATOR | discriminator.architecture, trained_on)


def load_generator(path: Path) -> Generator:
    """Load a generator on the CPU, in evaluation mode: (N, channels, H, W) in [-1, 1] to the same shape.

    Raises InputError if the file is missing, damaged or holds anything else.
    """
    return _load(path, "generator", lambda header: make_generator(Architecture(**header)))


def load_discriminator(path: Path) -> MultiscaleDiscriminator:
    """Load a discriminator, like load_generator: (N, 2 * channels, H, W) to one list of layer outputs per scale."""
    return _load(
        path,
        "discriminator",
        lambda header: MultiscaleDiscriminator(
            **{name: value for name, value in header.items() if name not in DISCRIMINATOR}
        ),
    )


def read_trained_on(path: Path) -> frozenset[str] | None:
    """Return the digests of the patients used for training, or None if the file does not list them.

    Raises InputError if the file is missing or damaged.
    """
    from safetensors import safe_open

    with _readable(path), safe_open(path, framework="pt") as file:
        header = (file.metadata() or {}).get(HEADER, "{}")
    try:
        patients = json.loads(header).get(TRAINED_ON)
        if not isinstance(patients, (list, type(None))):
            raise TypeError(f"{TRAINED_ON} is not a list")
        return None if patients is None else frozenset(patients)
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            "the list of training patients in this weights file is not readable",
            file=path,
            found=error,
            hint=REIMPORT,
        ) from None


def _write(path: Path, network: nn.Module, architecture: dict[str, Any], trained_on: Collection[str] | None) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    header = architecture if trained_on is None else architecture | {TRAINED_ON: sorted(trained_on)}
    weights = {name: weight.contiguous() for name, weight in network.state_dict().items()}
    with atomic_path(path) as temporary:
        try:
            save_file(weights, temporary, metadata={HEADER: json.dumps(header)})
        except SafetensorError as error:  # it gives the operating system's reason only in its text
            raise OSError(errno.ENOSPC if FULL_DISK in str(error) else errno.EIO, str(error), str(path)) from None
        temporary.chmod(FILE_MODE)


def _load(path: Path, kind: str, build: Callable[[dict[str, Any]], Network]) -> Network:
    import torch

    weights, metadata = _read(Path(path))
    try:
        header = json.loads(metadata[HEADER])
        header.pop(TRAINED_ON, None)
        if (header["kind"] == "discriminator") != (kind == "discriminator"):
            raise ValueError(f"the weights of a {header['kind']} network")
        with torch.device("meta"):  # no memory and no time for initial weights that are replaced at once
            network = build(header)
        network.load_state_dict(weights, assign=True)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"these are not the weights of a {kind} of this project",
            file=path,
            found=" ".join(str(error).split())[:200],
            expected=f"a header {HEADER!r} and matching weights",
            hint=REIMPORT,
        ) from None
    return network.eval().requires_grad_(False)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import safe_open

    with _readable(path), safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Convert the library's errors for a missing or damaged file to InputError."""
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
            expected="a complete safetensors file",
            hint="delete it and run `dvc repro`, or `dvc pull` it again",
        ) from None
