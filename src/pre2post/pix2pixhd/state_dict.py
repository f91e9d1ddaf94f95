"""Read state dicts written by torch.save without running any code in the file."""

import hashlib
import re
import warnings
from collections import Counter
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from pre2post.core.errors import InputError
from pre2post.core.weights_file import is_dense

HINT = "get the plain network.state_dict(), saved with torch.save, from the source of the weights"


def read_state_dict(path: Path) -> tuple[dict[str, Tensor], str]:
    """Return dense tensors by key, on the CPU, and the SHA-256 of the file.

    A dict under the key "state_dict" is used instead of its parent. The prefix "module." of networks trained on several
    GPUs is removed. Raises InputError if the file is missing, damaged, would have to run code, or holds anything else.
    """
    try:
        with open(path, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            return _tensors(_unpickle(file, path), path), sha256
    except OSError as error:
        raise InputError(
            "the weights file cannot be read",
            file=path,
            found=error.strerror,
            expected="a file written by torch.save",
            hint="check its name and permissions",
        ) from None


def _unpickle(file: BinaryIO, path: Path) -> object:
    try:
        with warnings.catch_warnings(action="ignore"):  # about formats that are refused anyway, in one line
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile pickle can raise any of them
        wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
        found = f"it asks for {wanted[1]}, which was not run" if wanted else _first_sentence(error)
        raise InputError(
            "this is not a file of plain tensors",
            file=path,
            found=found,
            expected="a state dict, readable without running code of the file",
            hint=HINT,
        ) from None


def _first_sentence(error: Exception) -> str:
    """Shorten torch's message: its next sentence suggests running the file's code."""
    return f"{type(error).__name__} {' '.join(str(error).split()).split('. ')[0]}"[:200].strip()


def _tensors(content: object, path: Path) -> dict[str, Tensor]:
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not content:
        raise InputError(
            "there are no weights in this file",
            file=path,
            expected="a state dict: tensors by key",
            found="an empty dict" if isinstance(content, dict) else type(content).__name__,
            hint=HINT,
        )
    for key, value in content.items():
        if not isinstance(key, str) or not is_dense(value):
            found = f"{value.layout} tensor of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
            raise InputError(
                f"this file holds more than weights, first under the key {key!r}",
                file=path,
                found=found,
                expected="dense tensors under text keys",
                hint=HINT,
            )
    prefix = "module." if all(key.startswith("module.") for key in content) else ""
    users = Counter(map(_memory, content.values()))
    return {
        key.removeprefix(prefix): weight.detach() if users[_memory(weight)] == 1 else weight.detach().clone()
        for key, weight in content.items()
    }  # safetensors does not accept tensors that share memory


def _memory(weight: Tensor) -> int:
    return weight.untyped_storage().data_ptr()
