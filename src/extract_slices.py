"""Cuts the generator's training and validation volumes into normalised float slices, memory-mapped by their readers."""

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
from pre2post.splits.leakage import read_study


class Params(StageParams):
    """The parameters that this stage reads."""

    slices: SlicesParams


def main() -> None:
    settings, (splits, cases) = Params.read().slices, read_study(SPLITS, VOLUMES)
    parts = {"train": find_cases(splits.gan_train, cases), "validation": find_cases(splits.validation, cases)}
    for part, members in parts.items():
        _cut(part, members, settings)


def _cut(part: str, cases: list[Case], settings: SlicesParams) -> None:
    """Writes the pre, post and lesion slices of one part, and the index of case, z and the patient's digest."""
    chosen = {
        case: tissue_planes(read_volume(case.path("pre")).array, settings.min_foreground)
        for case in progress(cases, f"{part}: find tissue", unit="case")
    }
    rows = [
        {"case": case.id, "z": int(z), "patient_digest": digest(patient_of(case))}
        for case, planes in chosen.items()
        for z in planes
    ]
    if not rows:
        raise InputError(
            f"no {part} slice holds enough tissue",
            file=VOLUMES,
            expected=f"at least one slice with more than {settings.min_foreground:g} above noise",
            hint="lower slices.min_foreground",
        )
    plane = (settings.size, settings.size)
    joint = (len(settings.phases), *plane) if len(settings.phases) > 1 else plane
    kinds = {
        f"{part}_pre": (np.float32, plane),
        f"{part}_post": (np.float32, joint),
        f"{part}_lesion": (np.uint8, plane),
    }
    pieces = (_pieces(part, case, planes, settings) for case, planes in chosen.items())
    write_arrays(SLICES, len(rows), kinds, progress(pieces, f"{part}: cut", total=len(chosen), unit="case"))
    write_table(SLICES / f"index_{part}.csv", rows)


def _pieces(part: str, case: Case, planes: np.ndarray, settings: SlicesParams) -> Mapping[str, np.ndarray]:
    """The chosen slices of one case by the name of their file; of several phases those of post lie side by side."""
    volumes = [read_volume(case.path(role)) for role in ("pre", *settings.phases)]
    pre, *post = (to_slices(case.scale.normalise(volume.array[planes]), settings.size) for volume in volumes)
    lesion = read_lesion(case, volumes[0], needs_tumour=False)
    mask = np.zeros(volumes[0].array.shape, np.uint8) if lesion is None else lesion.array
    return {
        f"{part}_pre": pre,
        f"{part}_post": np.stack(post, 1) if len(post) > 1 else post[0],
        f"{part}_lesion": mask_to_slices(mask[planes], settings.size),
    }


if __name__ == "__main__":
    run_stage(main)
