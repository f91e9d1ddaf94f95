"""State dicts that torch.save wrote, read without running any code that such a file may hold."""

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

TODO = "get the plain network.state_dict(), saved with torch.save, from where the weights were made"


def read_state_dict(path: Path) -> tuple[dict[str, Tensor], str]:
    """Dense tensors by key, on the CPU, and the sha256 of the file.

    They may lie under the key "state_dict"; the prefix "module." of a network wrapped for many GPUs is left out.
    Raises InputError when the file is missing, damaged, would have to run code, or holds anything else.
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
            expected="a file that torch.save wrote",
            hint="check its name and permissions",
        ) from None


def _unpickle(file: BinaryIO, path: Path) -> object:
    try:
        with warnings.catch_warnings(action="ignore"):  # about formats that are refused anyway, in one line
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile pickle may end in any of them
        wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
        found = f"it asks for {wanted[1]}, which was not run" if wanted else _first_sentence(error)
        raise InputError(
            "this is not a file of plain tensors",
            file=path,
            found=found,
            expected="a state dict, readable without running code of the file",
            hint=TODO,
        ) from None


def _first_sentence(error: Exception) -> str:
    """Only that: torch goes on to suggest running the file's code."""
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
            hint=TODO,
        )
    for key, value in content.items():
        if not isinstance(key, str) or not is_dense(value):
            found = f"{value.layout} tensor of {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
            raise InputError(
                f"there is more than weights in this file, first under the key {key!r}",
                file=path,
                found=found,
                expected="dense tensors under text keys",
                hint=TODO,
            )
    prefix = "module." if all(key.startswith("module.") for key in content) else ""
    users = Counter(map(_memory, content.values()))
    return {
        key.removeprefix(prefix): weight.detach() if users[_memory(weight)] == 1 else weight.detach().clone()
        for key, weight in content.items()
    }  # safetensors refuses tensors that share memory


def _memory(weight: Tensor) -> int:
    return weight.untyped_storage().data_ptr()
