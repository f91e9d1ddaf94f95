"""Files of external weights: checked by hash, read without running code, compared with the network.

The user names such a file by its path and its SHA-256; see weights/README.md. Torch is imported only if needed.
"""

import warnings
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from pre2post.core.errors import InputError
from pre2post.core.files import sha256_of

if TYPE_CHECKING:
    from torch import Tensor

MIN_DIGITS = 8  # hexadecimal, of a hash: as many as torchvision and others put into file names


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights that the user named, with texts for its error messages.

    sha256: its first 8 or more hexadecimal digits. name: the expected content, such as "VGG19 weights".
    hint: where to get it, or how to do without it.
    """

    path: Path
    sha256: str
    name: str
    hint: str

    def check_hash(self) -> None:
        """Raise InputError if the file cannot be read or has another hash."""
        try:
            found = sha256_of(self.path)
        except OSError as error:
            raise self.unreadable(error.strerror) from None
        if len(self.sha256) < MIN_DIGITS or not found.startswith(self.sha256.lower()):
            raise InputError(
                f"these are not the expected {self.name}",
                file=self.path,
                found=f"sha256 {found}",
                expected=f"{self.sha256 or 'nothing'}, at least {MIN_DIGITS} digits",
                hint=self.hint,
            )

    def read(self, keys: Collection[str] | None = None) -> Any:
        """Return the content, normally tensors by key, on the CPU; of .safetensors only `keys`.

        Read .safetensors, or the output of torch.save under any other suffix. Raises InputError as check_hash does, and
        if the file is damaged or holds code, which is not run.
        """
        self.check_hash()
        if Path(self.path).suffix.lower() == ".safetensors":
            return self._read_safetensors(keys)
        return self._read_torch()

    def matching(self, found: object, expected: Mapping[str, "Tensor"], network: str) -> dict[str, "Tensor"]:
        """Return float32 copies of the tensors in `found` that `expected` names; ignore other keys.

        `expected` is the state_dict() of `network`. Raises InputError naming the first key that is missing or has
        another shape, and `network`.
        """
        import torch

        tensors: Mapping = found if isinstance(found, dict) else {}
        for key, weight in expected.items():
            value = tensors.get(key)
            shape = tuple(value.shape) if is_dense(value) else "nothing"
            if shape != tuple(weight.shape):
                raise InputError(
                    "these are the weights of another network",
                    file=self.path,
                    found=f"{key}: {shape}",
                    expected=f"{key}: {tuple(weight.shape)}, as in {network}",
                    hint=self.hint,
                )
        # Copies, since tensors mapped from the file would be read again when memory runs short.
        return {key: tensors[key].detach().to(torch.float32, copy=True) for key in expected}

    def unreadable(self, found: object, expected: str | None = None) -> InputError:
        """Return the error for code that reads the file in another way."""
        return InputError(
            f"the {self.name} cannot be read", file=self.path, found=found, expected=expected, hint=self.hint
        )

    def _read_torch(self) -> object:
        """Read the output of torch.save; files of torch 1.6 or later are mapped, so that only used tensors are read."""
        import torch

        try:
            with warnings.catch_warnings(action="ignore"):  # about files that the error below refuses
                return torch.load(self.path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(self.path))
        except Exception:  # a damaged or hostile pickle may raise any kind
            raise self.unreadable(
                "a truncated or damaged file, or one that holds code", "a state dict of tensors"
            ) from None

    def _read_safetensors(self, keys: Collection[str] | None) -> dict[str, "Tensor"]:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path, framework="pt") as file:
                wanted = set(file.keys()) if keys is None else set(file.keys()).intersection(keys)
                return {key: file.get_tensor(key) for key in wanted}
        except (SafetensorError, OSError) as error:
            raise self.unreadable(error, "a complete safetensors file") from None


def is_dense(value: object) -> "TypeGuard[Tensor]":
    """Return whether this is an ordinary tensor: not sparse, quantised or on the meta device."""
    import torch

    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and not value.is_quantized
        and not value.is_meta
    )
