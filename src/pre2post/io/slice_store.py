"""Slices of many volumes in .npy files: written volume by volume, read memory-mapped."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from pre2post.core.errors import InputError
from pre2post.core.files import atomic_path


def map_array(path: Path) -> np.ndarray:
    """Open the array in a .npy file, memory-mapped. Raises InputError if it is missing or damaged."""
    try:
        return np.load(path, mmap_mode="r")
    except FileNotFoundError:
        raise InputError("the slices are missing", file=path, hint="run `dvc repro extract_slices`") from None
    except (ValueError, EOFError) as error:
        raise InputError(
            "the slices cannot be read",
            file=path,
            found=" ".join(str(error).split()),
            hint="delete the file and run `dvc repro extract_slices`",
        ) from None


def write_arrays(
    folder: Path,
    count: int,
    kinds: Mapping[str, tuple[type, tuple[int, ...]]],
    pieces: Iterable[Mapping[str, np.ndarray]],
) -> None:
    """Write <folder>/<name>.npy for every name of `kinds`, in sequence; only one piece is in memory at a time.

    A writable memory map would kill the process on a full disk.

    Args:
        folder: of the files, which appear complete or not at all.
        count: number of slices in each file.
        kinds: type and shape of a slice, by name.
        pieces: for every name some slices (k, *shape), volume by volume.

    Raises ValueError if the pieces hold another number of slices.
    """
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(open(stack.enter_context(atomic_path(folder / f"{name}.npy")), "wb"))
            for name in kinds
        }
        for name, (dtype, shape) in kinds.items():
            header = {
                "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
                "fortran_order": False,
                "shape": (count, *shape),
            }
            np.lib.format.write_array_header_1_0(files[name], header)
        written = 0
        for piece in pieces:
            for name, (dtype, _) in kinds.items():
                files[name].write(np.ascontiguousarray(piece[name], dtype).tobytes())
            written += len(next(iter(piece.values())))
        if written != count:
            raise ValueError(f"{written} slices instead of {count}")
