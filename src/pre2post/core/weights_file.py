"""Files of trained weights from elsewhere: checked by hash, read without running code, compared with the network.

Such a file is named by its path and its SHA-256; see weights/README.md. Torch is imported only where it is needed.
"""

import warnings
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pre2post.core.errors import InputError
from pre2post.core.files import sha256_of

if TYPE_CHECKING:
    from torch import Tensor

SHORTEST = 8  # hexadecimal digits of a hash: as many as torchvision and others put into their files' names


@dataclass(frozen=True)
class WeightsFile:
    """One file that the user named, with what its error messages say of it.

    sha256: the first 8 or more hexadecimal digits. name: what it should hold, such as "VGG19 weights".
    hint: where to get it, or how to do without.
    """

    path: Path
    sha256: str
    name: str
    hint: str

    def check_hash(self) -> None:
        """Raises InputError when the file cannot be read or is not the one with this hash."""
        try:
            found = sha256_of(self.path)
        except OSError as error:
            raise self.unreadable(error.strerror) from None
        if len(self.sha256) < SHORTEST or not found.startswith(self.sha256.lower()):
            raise InputError(
                f"these are not the expected {self.name}",
                file=self.path,
                found=f"sha256 {found}",
                expected=f"{self.sha256 or 'nothing'}, {SHORTEST} digits at least",
                hint=self.hint,
            )

    def read(self, keys: Collection[str] | None = None) -> Any:
        """The content: tensors by key, on the CPU, if the file is what it should be; of .safetensors only `keys`.

        .safetensors, or else whatever torch.save wrote. Raises InputError as check_hash does, and when the file is
        damaged or holds code, which is not run.
        """
        self.check_hash()
        if Path(self.path).suffix.lower() == ".safetensors":
            return self._read_safetensors(keys)
        return self._read_torch()

    def matching(self, found: object, expected: Mapping[str, "Tensor"], network: str) -> dict[str, "Tensor"]:
        """float32 copies of those tensors in `found` that `expected` names; other keys do not matter.

        Raises InputError naming the first key that is missing or has another shape, and `network`, whose
        state_dict() `expected` is.
        """
        import torch

        found = found if isinstance(found, dict) else {}
        for key, weight in expected.items():
            value = found.get(key)
            shape = tuple(value.shape) if is_dense(value) else "nothing"
            if shape != tuple(weight.shape):
                raise InputError(
                    "these are the weights of another network",
                    file=self.path,
                    found=f"{key}: {shape}",
                    expected=f"{key}: {tuple(weight.shape)}, as in {network}",
                    hint=self.hint,
                )
        # Copied, since tensors that are mapped from the file would be read again whenever memory is short.
        return {key: found[key].detach().to(torch.float32, copy=True) for key in expected}

    def unreadable(self, found: object, expected: str | None = None) -> InputError:
        """For whoever reads the file in another way."""
        return InputError(
            f"the {self.name} cannot be read", file=self.path, found=found, expected=expected, hint=self.hint
        )

    def _read_torch(self) -> object:
        """Files of torch 1.6 or later are mapped, so that only what is used is read."""
        import torch

        try:
            with warnings.catch_warnings(action="ignore"):  # about files that are refused anyway, in one line
                return torch.load(self.path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(self.path))
        except Exception:  # a damaged or hostile pickle may end in any of them
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
            raise self.unreadable(error, "a whole safetensors file") from None


def is_dense(value: object) -> bool:
    """Whether this is an ordinary tensor: not sparse, not quantised, and with its values there."""
    import torch

    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and not value.is_quantized
        and not value.is_meta
    )
