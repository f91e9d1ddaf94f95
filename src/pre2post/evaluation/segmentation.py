"""Segment the test and external patients with each ensemble, and compare the masks in every domain."""

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pre2post.cohort.case import Case, find_cases
from pre2post.cohort.lesion import read_mask
from pre2post.core.errors import InputError
from pre2post.core.files import rounded
from pre2post.core.paths import NNUNET, SEGMENTERS, SYNTHETIC
from pre2post.core.progress import progress
from pre2post.core.section import Seed, StageParams
from pre2post.image.breast_mask import breast_mask
from pre2post.image.masks import MM3_PER_ML
from pre2post.image.volume import Volume
from pre2post.ingest.params import IngestParams
from pre2post.io.volume_file import read_volume, write_volume
from pre2post.metrics.lesion_match import any_by_chance, chance_of_finding, match_lesions
from pre2post.metrics.mask_metrics import measure
from pre2post.segmentation.breasts import keep_scored_region, preprocess_parts, segment_parts_with_probability
from pre2post.segmentation.design import FIRST_POST, THRESHOLD, domain_of, is_synthetic
from pre2post.segmentation.folds import mix_folds
from pre2post.segmentation.nnunet import PLANS_OF, segmenter_folder, set_nnunet_folders
from pre2post.segmentation.params import SegmentationParams
from pre2post.segmentation.prediction import check_same_plans, load_segmenter, make_predictor
from pre2post.segmentation.threshold import choose_threshold, segment_by_threshold
from pre2post.segmentation.volumes import check_image, volume_file
from pre2post.splits.splits import TEST_SPLITS, Splits
from pre2post.stats.params import StatisticsParams

if TYPE_CHECKING:
    from pre2post.segmentation.prediction import nnUNetPredictor


class SegmentationEvaluationParams(StageParams):
    """The parameters that this stage reads."""

    seed: Seed
    statistics: StatisticsParams
    ingest: IngestParams
    segmentation: SegmentationParams


def list_tasks(segmentation: SegmentationParams, splits: Splits, cases: list[Case]) -> list[tuple[str, Case, str]]:
    """Return (domain, case, phase) of every volume to segment, case by case. Absent phases are left out.

    Raises InputError if there is no volume.
    """
    tasks = [
        (domain_of(split, phase), case, phase)
        for split in TEST_SPLITS
        for case in find_cases(getattr(splits, split), cases)
        for phase in segmentation.test_phases
        if is_synthetic(phase) or phase in case.phases
    ]
    found = {phase for _, _, phase in tasks}
    if not found:
        raise InputError(
            "no test or external patient has a phase of segmentation.test_phases",
            expected=", ".join(segmentation.test_phases),
            hint="add phases that they have to segmentation.test_phases",
        )
    for phase in segmentation.test_phases:
        if phase not in found:
            print(f"{phase} is left out: no test or external patient has this phase")
    return tasks


def load_predictors(params: SegmentationEvaluationParams, splits: Splits) -> dict[str, "nnUNetPredictor"]:
    """Return nnU-Net's predictor of each trained mix, over the listed folds.

    Raises InputError if a fold cannot be used (`load_segmenter`), or mixes were trained by different plans.
    """
    set_nnunet_folders(NNUNET, SEGMENTERS)
    import torch

    segmentation = params.segmentation
    torch.set_num_threads(1)  # mixes run in parallel instead, so that no thread waits
    folders_of = {
        name: [segmenter_folder(SEGMENTERS, name, fold) for fold in segmentation.folds] for name in segmentation.train
    }
    _tell_unused({folder for folders in folders_of.values() for folder in folders})
    segmenters = []
    for name, folders in folders_of.items():
        segmenters.append(
            load_segmenter(
                name, folders, PLANS_OF[segmentation.plan], mix_folds(segmentation.mixes[name], splits, params.seed)
            )
        )
        check_same_plans(segmenters[-1].plans, segmenters[0].plans, SEGMENTERS / name)
    options = segmentation.use_mirroring, segmentation.tile_step_size
    return {segmenter.name: make_predictor(segmenter, *options) for segmenter in segmenters}


def _tell_unused(used: set[Path]) -> None:
    """Print which trainings of other parameters lie in the folder: dvc.lock has its hash, so other clones differ."""
    others = sorted(folder.name for folder in SEGMENTERS.iterdir() if folder not in used)
    if others:
        print(f"{SEGMENTERS} has trainings that are not used: {', '.join(others)}; delete them to share dvc.lock")


def find_threshold(cases: Sequence[Case]) -> float | None:
    """Return the threshold on the first post-contrast phase, in normalised intensity, chosen on these patients.

    None if no patient has this phase.
    """
    cases = [case for case in cases if FIRST_POST in case.phases]

    def read(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        image, mask = read_volume(case.path(FIRST_POST)), read_mask(case)
        check_image(image, mask, case.id, case.path(FIRST_POST))
        return case.scale.normalise(image.array), breasts_of(case), mask.array

    return choose_threshold(map(read, progress(cases, "choose the threshold", unit="case"))) if cases else None


def evaluate(
    case: Case,
    phase: str,
    domain: str,
    predictors: dict[str, "nnUNetPredictor"],
    level: float | None,
    params: SegmentationEvaluationParams,
    folder: Path,
    pool: Executor,
) -> tuple[list[dict], list[dict]]:
    """Segment one volume with each mix and with the threshold, and write the masks into `folder`.

    Return one row of metrics per mix, and one row per predicted piece. The mixes run in the threads of `pool`, each
    with one thread; so their number does not change the result.
    """
    segmentation = params.segmentation
    file, mask = volume_file(case, phase, SYNTHETIC), read_mask(case, needs_tumour=False)
    image = read_volume(file)
    check_image(image, mask, case.id, file)
    parts = preprocess_parts(
        image, case, segmentation.train_crop, next(iter(predictors.values()))
    )  # the same for all mixes
    breasts = breasts_of(case)
    limits = segmentation.lesion_overlap, params.ingest.min_lesion_ml

    def one(mix: str) -> tuple[dict, list[dict]]:
        if level is not None and mix == THRESHOLD:
            score = case.scale.normalise(image.array)
            predicted = segment_by_threshold(score, breasts, level)
        else:
            predicted, score = segment_parts_with_probability(predictors[mix], parts, threads=1)
        predicted = keep_scored_region(predicted, mask.array, case, segmentation.score_region)
        write_volume(mask.like(predicted), folder / mix / domain / f"{case.id}.nii.gz")
        key = {"mix": mix, "domain": domain, "case": case.id}
        pieces = piece_rows(predicted, score, mask, breasts, *limits)
        values = measure(predicted, mask.array, mask.spacing, *limits)
        values["detected_by_chance"] = any_by_chance(piece["chance"] for piece in pieces)
        row = key | {name: rounded(value) for name, value in values.items()}
        return row, [key | piece for piece in pieces]

    found = list(pool.map(one, [*predictors, *([] if level is None else [THRESHOLD])]))
    return [row for row, _ in found], [piece for _, pieces in found for piece in pieces]


def piece_rows(
    predicted: np.ndarray, score: np.ndarray, true: Volume, breasts: np.ndarray, overlap: float, smallest_ml: float
) -> list[dict[str, float]]:
    """Return one row per piece of a predicted mask (z, y, x), largest first.

    ml: volume. score: mean in the piece of `score`, the probability of tumour. lesion: which one it finds, 0 for none.
    iou: with the lesion that it overlaps most. chance: probability of finding one at a random place in the breasts.
    """
    match = match_lesions(predicted, true.array, true.spacing, smallest_ml)
    chances = chance_of_finding(match, breasts, overlap)
    voxel_ml = float(np.prod(true.spacing)) / MM3_PER_ML
    rows = []
    for place, (lesion, chance) in enumerate(zip(match.found(overlap), chances, strict=True)):
        inside = match.pieces == place + 1
        rows.append(
            {
                "piece": place + 1,
                "ml": np.count_nonzero(inside) * voxel_ml,
                "score": float(score[inside].mean()),
                "lesion": int(lesion),
                "iou": float(match.iou[place].max(initial=0)),
                "chance": float(chance),
            }
        )
    return rows


@lru_cache(maxsize=1)  # every phase of a case needs it, one after the other, and it takes a third of a second
def breasts_of(case: Case) -> np.ndarray:
    """Return the breasts (z, y, x), bool, found in the pre-contrast volume."""
    pre = read_volume(case.path("pre"))
    return breast_mask(pre.array, pre.spacing)
