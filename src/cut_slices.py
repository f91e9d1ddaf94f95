"""Cuts the generator's training and validation volumes into normalised float slices, memory-mapped by their readers."""

from collections.abc import Mapping

import numpy as np

from cohort.case import Case, read_cases
from cohort.splits import read_splits
from imaging.body import foreground_share
from imaging.slice_store import write_arrays
from imaging.slices import mask_to_slices, to_slices
from imaging.volume import read_volume
from pipeline.errors import InputError, run_stage
from pipeline.files import write_table
from pipeline.params import Slices, load_params
from pipeline.paths import SLICES, SPLITS, VOLUMES
from pipeline.progress import progress

VALIDATION = "validation"


def main() -> None:
    settings = load_params().slices
    cases = {case.id: case for case in read_cases(VOLUMES)}
    splits = read_splits(SPLITS)
    for part, names in (("train", splits.gan_train), (VALIDATION, splits.validation)):
        absent = [name for name in names if name not in cases]
        if absent:
            raise InputError("the split names a case that was not ingested", case=absent[0], file=SPLITS,
                             todo="run `dvc repro split`")
        _cut(part, [cases[name] for name in names], settings)


def _cut(part: str, cases: list[Case], settings: Slices) -> None:
    """Writes the pre and post slices of one part, with the lesion masks of validation, and the index of case and z."""
    chosen = {case: _with_tissue(case, settings) for case in progress(cases, f"{part}: find tissue", unit="case")}
    rows = [{"case": case.id, "z": int(z)} for case, planes in chosen.items() for z in planes]
    if not rows:
        raise InputError(f"no {part} slice holds enough tissue", file=VOLUMES, expected=f"at least one slice with more "
                         f"than {settings.min_foreground:g} above noise", todo="lower slices.min_foreground")
    kinds = {f"{part}_pre": np.float32, f"{part}_post": np.float32}
    if part == VALIDATION:
        kinds[f"{part}_mask"] = np.uint8
    pieces = (_pieces(part, case, planes, settings) for case, planes in chosen.items())
    write_arrays(SLICES, (len(rows), settings.size, settings.size), kinds,
                 progress(pieces, f"{part}: cut", total=len(chosen), unit="case"))
    write_table(SLICES / f"index_{part}.csv", rows)


def _with_tissue(case: Case, settings: Slices) -> np.ndarray:
    """The z of the slices whose share of pixels above noise, before contrast, reaches slices.min_foreground."""
    return np.flatnonzero(foreground_share(read_volume(case.path("pre")).array) >= settings.min_foreground)


def _pieces(part: str, case: Case, planes: np.ndarray, settings: Slices) -> Mapping[str, np.ndarray]:
    """The chosen slices of one case by the name of their file."""
    piece = {}
    for name, role in (("pre", "pre"), ("post", settings.phase)):
        array = read_volume(case.path(role)).array[planes]
        piece[f"{part}_{name}"] = to_slices(case.scale.normalise(array), settings.size)
    if part == VALIDATION:
        piece[f"{part}_mask"] = mask_to_slices(read_volume(case.path("mask"), np.uint8).array[planes], settings.size)
    return piece


if __name__ == "__main__":
    run_stage(main)
