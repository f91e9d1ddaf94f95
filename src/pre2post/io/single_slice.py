"""Slices that each have a file of their own: MetaImage of two dimensions, or of three with one plane."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pre2post.core.errors import InputError
from pre2post.image.itk import last_line
from pre2post.image.volume import Volume

SUFFIX = ".mha"
THICKNESS = 1.0  # mm, of a file of two dimensions, which says nothing of a third


@dataclass(frozen=True)
class SingleSlice:
    """A slice in its place, its array (1, h, w) in float64, and whether its file has only two dimensions."""

    volume: Volume
    flat: bool

    @property
    def image(self) -> np.ndarray:
        """The pixels (h, w)."""
        return self.volume.array[0]


def list_slices(folder: Path) -> dict[str, Path]:
    """{name without .mha: file} of a folder, in the order of the names. Raises InputError when there is none."""
    if not Path(folder).is_dir():
        raise InputError("the folder is missing", file=folder, expected=f"a folder of {SUFFIX} files, one a slice")
    found = {file.stem: file for file in sorted(Path(folder).glob(f"*{SUFFIX}"))}
    if not found:
        raise InputError(
            "there is no slice in this folder",
            file=folder,
            found=f"no {SUFFIX} file",
            expected=f"{SUFFIX} files, one a slice",
        )
    return found


def match_slices(folders: dict[str, Path]) -> list[dict[str, Path]]:
    """{role: file} of every slice of folders {role: folder} with equally named files, in the order of the names.

    Raises InputError when the first folder has a name that another one has not, or the other way round.
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
                    hint="give every slice one name in all folders",
                )
    return [{role: files[name] for role, files in found.items()} for name in found[first]]


def read_slice(path: Path) -> SingleSlice:
    """Reads a MetaImage file of size (w, h) or (w, h, 1), one real number a pixel.

    Raises InputError when it is unreadable, of another kind, or holds values that are not finite.
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
            "this is not one slice",
            file=path,
            expected="w x h or w x h x 1, 1 value a pixel",
            found=f"{' x '.join(map(str, size))}, {values} values a pixel ({kind})",
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


def double_image(array: np.ndarray):
    """An array (h, w) as a SimpleITK image of one plane, float64, pixels of 1 mm."""
    import SimpleITK as sitk

    return sitk.GetImageFromArray(np.asarray(array, dtype=np.float64)[None])
