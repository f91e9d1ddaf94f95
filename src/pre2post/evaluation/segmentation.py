"""Segment the test and external patients with each ensemble, and compare the masks in every domain."""

from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING

from pre2post.cohort.case import Case, find_cases
from pre2post.cohort.lesion import read_mask
from pre2post.core.errors import InputError
from pre2post.core.files import rounded
from pre2post.core.paths import NNUNET, SEGMENTERS, SYNTHETIC
from pre2post.core.section import Seed, StageParams
from pre2post.ingest.params import IngestParams
from pre2post.io.volume_file import read_volume, write_volume
from pre2post.metrics.mask_metrics import measure
from pre2post.segmentation.breasts import keep_scored_region, preprocess_parts, segment_parts
from pre2post.segmentation.design import domain_of, is_synthetic
from pre2post.segmentation.folds import mix_folds
from pre2post.segmentation.nnunet import PLANS_OF, segmenter_folder, set_nnunet_folders
from pre2post.segmentation.params import SegmentationParams
from pre2post.segmentation.prediction import check_same_plans, load_segmenter, make_predictor
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
    """Return (domain, case, phase) of every volume to segment; cases without a phase are not in its domains.

    Raises InputError if there is no volume.
    """
    tasks = [
        (domain_of(split, phase), case, phase)
        for split in TEST_SPLITS
        for phase in segmentation.test_phases
        for case in find_cases(getattr(splits, split), cases)
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
    segmenters = []
    for name in segmentation.train:
        folders = [segmenter_folder(SEGMENTERS, name, fold) for fold in segmentation.folds]
        segmenters.append(
            load_segmenter(
                name, folders, PLANS_OF[segmentation.plan], mix_folds(segmentation.mixes[name], splits, params.seed)
            )
        )
        check_same_plans(segmenters[-1].plans, segmenters[0].plans, SEGMENTERS / name)
    options = segmentation.use_mirroring, segmentation.tile_step_size
    return {segmenter.name: make_predictor(segmenter, *options) for segmenter in segmenters}


def evaluate(
    case: Case,
    phase: str,
    domain: str,
    predictors: dict[str, "nnUNetPredictor"],
    params: SegmentationEvaluationParams,
    folder: Path,
    pool: Executor,
) -> list[dict]:
    """Segment one volume with each mix, write the masks into `folder`, and return one row of metrics per mix.

    The mixes run in the threads of `pool`, each with one thread; so their number does not change the result.
    """
    segmentation = params.segmentation
    file, mask = volume_file(case, phase, SYNTHETIC), read_mask(case, needs_tumour=False)
    image = read_volume(file)
    check_image(image, mask, case.id, file)
    parts = preprocess_parts(
        image, case, segmentation.train_crop, next(iter(predictors.values()))
    )  # the same for all mixes

    def one(mix: str) -> dict:
        predicted = segment_parts(predictors[mix], parts, threads=1)
        predicted = keep_scored_region(predicted, mask.array, case, segmentation.score_region)
        write_volume(mask.like(predicted), folder / mix / domain / f"{case.id}.nii.gz")
        found = measure(predicted, mask.array, mask.spacing, segmentation.lesion_overlap, params.ingest.min_lesion_ml)
        values = {name: rounded(value) for name, value in found.items()}
        return {"mix": mix, "domain": domain, "case": case.id, **values}

    return list(pool.map(one, predictors))
