"""Extract normalised float32 slices from the training and validation volumes of the generator, to be memory-mapped."""

from collections.abc import Mapping

import numpy as np

from pre2post.cohort.case import Case, find_cases
from pre2post.cohort.lesion import read_lesion
from pre2post.cohort.patients import digest, patient_of
from pre2post.core.errors import InputError, run_stage
from pre2post.core.files import write_table
from pre2post.core.paths import SLICES, SPLITS, VOLUMES
from pre2post.core.progress import progress
from pre2post.core.section import StageParams
from pre2post.image.body_mask import tissue_planes
from pre2post.image.params import SlicesParams
from pre2post.image.slices import mask_to_slices, to_slices
from pre2post.io.slice_store import write_arrays
from pre2post.io.volume_file import read_volume
from pre2post.pix2pixhd.neighbours import with_neighbours
from pre2post.splits.leakage import read_study


class Params(StageParams):
    """The parameters of this stage."""

    slices: SlicesParams


def main() -> None:
    settings, (splits, cases) = Params.read().slices, read_study(SPLITS, VOLUMES)
    for name, members in {"train": splits.gan_train, "validation": splits.validation}.items():
        _extract(name, find_cases(members, cases), settings)


def _extract(name: str, cases: list[Case], settings: SlicesParams) -> None:
    """Write pre, post and lesion slices of "train" or "validation", and the index of case, z and patient digest."""
    planes = {
        case: tissue_planes(read_volume(case.path("pre")).array, settings.min_foreground)
        for case in progress(cases, f"{name}: find tissue", unit="case")
    }
    rows = [
        {"case": case.id, "z": int(z), "patient_digest": digest(patient_of(case))}
        for case, chosen in planes.items()
        for z in chosen
    ]
    if not rows:
        raise InputError(
            f"no {name} slice contains enough tissue",
            file=VOLUMES,
            expected=f"at least one slice with a share above {settings.min_foreground:g} of pixels above noise",
            hint="lower slices.min_foreground",
        )
    plane = (settings.size, settings.size)
    stack = (1 + 2 * settings.neighbours, *plane) if settings.neighbours else plane
    joint = (len(settings.phases), *plane) if len(settings.phases) > 1 else plane
    kinds = {
        f"{name}_pre": (np.float32, stack),
        f"{name}_post": (np.float32, joint),
        f"{name}_lesion": (np.uint8, plane),
    }
    slices = (_case_slices(name, case, chosen, settings) for case, chosen in planes.items())
    write_arrays(SLICES, len(rows), kinds, progress(slices, f"{name}: extract slices", total=len(planes), unit="case"))
    write_table(SLICES / f"index_{name}.csv", rows)


def _case_slices(name: str, case: Case, planes: np.ndarray, settings: SlicesParams) -> Mapping[str, np.ndarray]:
    """Return the slices of one case at `planes`, by file name.

    Several post phases form one array (n, phases, y, x), and pre with neighbours (n, 1 + 2 * neighbours, y, x).
    """
    pre, *post = (read_volume(case.path(role)) for role in ("pre", *settings.phases))
    stacks = with_neighbours(to_slices(case.scale.normalise(pre.array), settings.size), settings.neighbours)[planes]
    phases = [to_slices(case.scale.normalise(volume.array[planes]), settings.size) for volume in post]
    lesion = read_lesion(case, pre, needs_tumour=False)
    mask = np.zeros(pre.array.shape, np.uint8) if lesion is None else lesion.array
    return {
        f"{name}_pre": stacks if settings.neighbours else stacks[:, 0],
        f"{name}_post": np.stack(phases, 1) if len(phases) > 1 else phases[0],
        f"{name}_lesion": mask_to_slices(mask[planes], settings.size),
    }


if __name__ == "__main__":
    run_stage(main)
