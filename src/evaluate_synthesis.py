"""Compares the synthetic volumes with the real post-contrast ones, per patient and region, beside two floors."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cohort.case import Case, find_cases, read_cases
from cohort.splits import read_splits
from imaging.regions import breast_mask
from imaging.volume import Volume, describe_geometry, read_volume, same_geometry
from pipeline.errors import InputError, run_stage
from pipeline.files import write_json, write_table
from pipeline.params import load_params
from pipeline.paths import METRICS, PLOTS, SLICES, SPLITS, SYNTHETIC, VOLUMES
from pipeline.progress import progress
from quality.floors import LookupTable, fit_lookup_table
from quality.regions import region_metrics
from quality.synthesis_table import METHODS, SHOWN, group_table, rounded

GROUPS = ("test", "external")
DATA_RANGE = 1.0  # normalised 0 to 1 is a patient's own scale
EVALUATION_STREAM = 7  # number of this stage's random stream, so that no other stage draws the same numbers


def main() -> None:
    params = load_params()
    lookup = fit_lookup_table(_load("train_pre.npy"), _load("train_post.npy"))
    rows = [{"case": case.id, "group": group, **row}
            for group, case in progress(list(_patients()), "evaluate_synthesis", unit="patient")
            for row in evaluate(case, params.slices.phase, lookup, params.same.ssim_sigma)]
    write_table(PLOTS / "synthesis.csv", rows)
    table = {group: group_table([row for row in rows if row["group"] == group], params.statistics.confidence,
                                params.statistics.bootstrap_draws, [params.seed, EVALUATION_STREAM],
                                params.statistics.min_patients) for group in GROUPS}
    write_json(METRICS / "synthesis.json", table)


def evaluate(case: Case, phase: str, lookup: LookupTable, sigma: float) -> list[dict]:
    """One row a method and region of a patient, in normalised intensities; a region without a voxel has none."""
    pre = read_volume(case.path("pre"))
    real, synthetic = (_read_beside(pre, case, path) for path in (case.path(phase), SYNTHETIC / f"{case.id}.nii.gz"))
    masks = {"whole": None, "breast": breast_mask(pre.array, pre.spacing)}
    if case.has_mask:
        masks["lesion"] = _read_beside(pre, case, case.path("mask")).array > 0
    masks = {region: mask for region, mask in masks.items() if mask is None or mask.any()}
    target, normalised = case.scale.normalise(real.array), case.scale.normalise(pre.array)
    images = {"synthetic": case.scale.normalise(synthetic.array), "pre": normalised, "lut": lookup(normalised)}
    try:
        found = {method: region_metrics(target, images[method], masks, DATA_RANGE, sigma) for method in METHODS}
    except InputError as error:
        raise InputError(error.problem, case=case.id, found=error.found, expected=error.expected,
                         todo=error.todo) from None
    return [{"method": method, "region": region, **{metric: rounded(found[method][region][metric]) for metric in SHOWN}}
            for region in masks for method in METHODS]


def _patients() -> Iterator[tuple[str, Case]]:
    """Every patient to evaluate, with its group."""
    cases, splits = read_cases(VOLUMES), read_splits(SPLITS)
    for group in GROUPS:
        for case in find_cases(getattr(splits, group), cases):
            yield group, case


def _read_beside(pre: Volume, case: Case, path: Path) -> Volume:
    """Reads a volume that must lie exactly where `pre` does."""
    if not path.is_file():
        raise InputError("the volume is missing", case=case.id, file=path, todo="run `dvc repro`")
    volume = read_volume(path)
    if not same_geometry(pre, volume):
        raise InputError("the volume lies elsewhere than the pre-contrast one", case=case.id, file=path,
                         found=describe_geometry(volume), expected=describe_geometry(pre), todo="run `dvc repro`")
    return volume


def _load(name: str) -> np.ndarray:
    if not (SLICES / name).is_file():
        raise InputError("the training slices are missing", file=SLICES / name, todo="run `dvc repro cut_slices`")
    return np.load(SLICES / name, mmap_mode="r")


if __name__ == "__main__":
    run_stage(main)
