"""Generators on disk: safetensors, which cannot run code, with the architecture in the file's own header."""

import json
from pathlib import Path

from torch import nn

from pipeline.errors import InputError
from pipeline.files import atomic_path
from pix2pixhd.generator import make_generator

HEADER = "pix2pixhd"  # key of the architecture in the safetensors metadata


def architecture(settings) -> dict:
    """What has to be known to build the generator again, from the gan section of params.yaml."""
    return {"kind": settings.generator, "width": settings.width, "downs": settings.downs, "blocks": settings.blocks,
            "residual": settings.residual}


def save_generator(generator: nn.Module, architecture: dict, path: Path) -> None:
    """Writes weights and architecture, whole or not at all."""
    from safetensors.torch import save_file

    with atomic_path(path) as temporary:
        save_file(generator.state_dict(), temporary, metadata={HEADER: json.dumps(architecture)})


def load_generator(path: Path) -> nn.Module:
    """The generator in `path`, ready to run: (N, 1, H, W) in [-1, 1] to the same shape, in evaluation mode on the CPU.

    Raises InputError when the file is missing, damaged or not such a generator.
    """
    weights, header = _read(Path(path))
    try:
        generator = make_generator(**json.loads(header[HEADER]))
        generator.load_state_dict(weights)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError("these are not the weights of a generator of this project", file=path,
                         found=" ".join(str(error).split())[:200], expected=f"a header {HEADER!r} and matching weights",
                         todo="use a file that train_gan or select_checkpoint wrote") from None
    return generator.eval().requires_grad_(False)


def read_architecture(path: Path) -> dict:
    """The architecture in the header of a generator's file."""
    return json.loads(_read(Path(path))[1][HEADER])


def _read(path: Path) -> tuple[dict, dict]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError:
        raise InputError("the weights file is missing", file=path, todo="run `dvc repro`, or `dvc pull` it") from None
    except (SafetensorError, OSError) as error:
        raise InputError("the weights file cannot be read", file=path, found=error, expected="a whole safetensors file",
                         todo="delete it and run `dvc repro`, or `dvc pull` it again") from None
