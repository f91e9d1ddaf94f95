"""Single slices in MetaImage files of two dimensions, or of three with one plane."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pre2post.core.errors import InputError
from pre2post.core.files import atomic_path
from pre2post.image.itk import last_line, to_image
from pre2post.image.volume import Volume
from pre2post.io.volume_file import read_size, write_image

if TYPE_CHECKING:
    from SimpleITK import Image

SUFFIX = ".mha"
THICKNESS = 1.0  # mm, assumed for a file of two dimensions


@dataclass(frozen=True)
class SingleSlice:
    """A slice as a volume (1, h, w) in float64; `flat` if its file has only two dimensions."""

    volume: Volume
    flat: bool

    @property
    def image(self) -> np.ndarray:
        """Return the pixels (h, w)."""
        return self.volume.array[0]


def list_slices(folder: Path) -> dict[str, Path]:
    """Return {name without .mha: file} of a folder, in order of the names. Raises InputError if there is none."""
    if not Path(folder).is_dir():
        raise InputError("the folder is missing", file=folder, expected=f"a folder of {SUFFIX} files, one per slice")
    found = {file.stem: file for file in sorted(Path(folder).glob(f"*{SUFFIX}"))}
    if not found:
        raise InputError(
            "the folder holds no slice",
            file=folder,
            found=f"no {SUFFIX} file",
            expected=f"{SUFFIX} files, one per slice",
        )
    return found


def match_slices(folders: dict[str, Path]) -> list[dict[str, Path]]:
    """Match the slices of folders {role: folder} by file name; return {role: file} per slice, in order of the names.

    Raises InputError if a name is not in all folders.
    """
    found = {role: list_slices(folder) for role, folder in folders.items()}
    first = next(iter(folders))
    for role in folders:
        for here, there in ((role, first), (first, role)):
            absent = [name for name in found[there] if name not in found[here]]
            if absent:
                raise InputError(
                    "a slice is missing",
                    case=absent[0],
                    file=folders[here] / f"{absent[0]}{SUFFIX}",
                    found=f"{len(absent)} of the {len(found[there])} names in {folders[there]} are not in "
                    f"{folders[here]}",
                    expected="equal names in both",
                    hint="give every slice the same name in all folders",
                )
    return [{role: files[name] for role, files in found.items()} for name in found[first]]


def read_slice(path: Path) -> SingleSlice:
    """Read a MetaImage file of size (w, h) or (w, h, 1) with one real number per pixel.

    Raises InputError if it is unreadable, of another kind, or holds NaN or infinity.
    """
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(
            "the slice cannot be read",
            file=path,
            found=last_line(error),
            expected=f"a {SUFFIX} file",
            hint="write it again",
        ) from None
    kind, values, size = image.GetPixelIDTypeAsString(), image.GetNumberOfComponentsPerPixel(), image.GetSize()
    if len(size) not in (2, 3) or size[2:] not in ((), (1,)) or values != 1 or "complex" in kind:
        raise InputError(
            "this is not a single slice",
            file=path,
            expected="w x h or w x h x 1, 1 value per pixel",
            found=f"{' x '.join(map(str, size))}, {values} values per pixel ({kind})",
        )
    array = sitk.GetArrayFromImage(image).astype(np.float64).reshape(1, size[1], size[0])
    if not np.isfinite(array).all():
        raise InputError(
            "the slice holds values that are not finite",
            file=path,
            expected="no NaN or infinity",
            found=f"{np.count_nonzero(~np.isfinite(array))} of {array.size} pixels",
        )
    if len(size) == 3:
        return SingleSlice(Volume(array, image.GetSpacing(), image.GetOrigin(), image.GetDirection()), False)
    (a, b), (c, d) = np.reshape(image.GetDirection(), (2, 2))
    return SingleSlice(
        Volume(
            array, (*image.GetSpacing(), THICKNESS), (*image.GetOrigin(), 0.0), (a, b, 0.0, c, d, 0.0, 0.0, 0.0, 1.0)
        ),
        True,
    )


def is_slice(path: Path) -> bool:
    """Return whether a MetaImage file has two dimensions, or one plane, by its header; False if it is unreadable."""
    if path.suffix not in (SUFFIX, ".mhd"):
        return False
    try:
        size = read_size(path)
    except (InputError, RuntimeError):
        return False
    return len(size) == 2 or size[2:] == (1,)


def write_slice(found: SingleSlice, path: Path) -> None:
    """Write a MetaImage in float32, with two dimensions if the slice is flat. Raises InputError for NaN or infinity."""
    if not np.isfinite(found.volume.array).all():
        raise InputError("the slice holds values that are not finite", file=path, expected="no NaN or infinity")
    image = to_image(found.volume)
    with atomic_path(path) as temporary:
        try:
            write_image(image[:, :, 0] if found.flat else image, temporary)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None


def double_image(array: np.ndarray) -> "Image":
    """Convert an array (h, w) to a SimpleITK image of one plane, float64, with pixels of 1 mm."""
    import SimpleITK as sitk

    return sitk.GetImageFromArray(np.asarray(array, dtype=np.float64)[None])
