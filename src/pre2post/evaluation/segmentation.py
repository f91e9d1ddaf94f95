"""Segment the test and external patients with each ensemble, and measure the masks in every domain."""

from pathlib import Path

from pre2post.cohort.case import Case, find_cases
from pre2post.cohort.lesion import read_mask
from pre2post.core.errors import InputError
from pre2post.core.numbers import rounded
from pre2post.core.paths import NNUNET, SEGMENTERS, SYNTHETIC
from pre2post.core.section import Seed, StageParams
from pre2post.ingest.params import IngestParams
from pre2post.io.volume_file import read_volume, write_volume
from pre2post.metrics.mask_metrics import measure
from pre2post.segmentation.breasts import counted, prepare, segment_prepared
from pre2post.segmentation.design import domain_of, fold_folder, is_synthetic, mix_folds, volume_file
from pre2post.segmentation.nnunet import PLANS_OF, use_folders
from pre2post.segmentation.params import SegmentationParams
from pre2post.segmentation.prediction import check_same_plans, load_segmenter, make_predictor
from pre2post.segmentation.raw_dataset import check_image
from pre2post.splits.splits import Splits
from pre2post.stats.params import StatisticsParams

GROUPS = ("test", "external")  # of patients: parts of the splits


class SegmentationEvaluationParams(StageParams):
    """The parameters that this stage reads."""

    seed: Seed
    statistics: StatisticsParams
    ingest: IngestParams
    segmentation: SegmentationParams


def list_tasks(study: SegmentationParams, splits: Splits, cases: list[Case]) -> list[tuple[str, Case, str]]:
    """(domain, case, phase) of every volume to segment: a case without a phase is not in that phase's domain."""
    tasks = [
        (domain_of(split, phase), case, phase)
        for split in GROUPS
        for phase in study.test_phases
        for case in find_cases(getattr(splits, split), cases)
        if is_synthetic(phase) or phase in case.phases
    ]
    found = {phase for _, _, phase in tasks}
    if not found:
        raise InputError(
            "no test or external patient has any phase to test in",
            expected=", ".join(study.test_phases),
            found=f"segmentation.test_phases of {len(cases)} patients",
            hint="name phases that they have",
        )
    for phase in study.test_phases:
        if phase not in found:
            print(f"no test or external patient has {phase}: this domain is left out")
    return tasks


def load_predictors(params: SegmentationEvaluationParams, splits: Splits) -> dict:
    """nnU-Net's predictor of each trained mix, over the listed folds; all must share one plan."""
    use_folders(NNUNET, SEGMENTERS)
    import torch

    study = params.segmentation
    torch.set_num_threads(study.threads)
    segmenters = []
    for name in study.train:
        folders = [fold_folder(SEGMENTERS, name, fold) for fold in study.folds]
        segmenters.append(
            load_segmenter(name, folders, PLANS_OF[study.plan], mix_folds(study.mixes[name], splits, params.seed))
        )
        check_same_plans(segmenters[-1].plans, segmenters[0].plans, SEGMENTERS / name)
    return {segmenter.name: make_predictor(segmenter, study.use_mirroring) for segmenter in segmenters}


def evaluate(
    case: Case, phase: str, domain: str, predictors: dict, params: SegmentationEvaluationParams, folder: Path
) -> list[dict]:
    """One row a mix of one volume, which is preprocessed once; the predicted masks go into `folder`."""
    study = params.segmentation
    file, mask = volume_file(case, phase, SYNTHETIC), read_mask(case, needs_tumour=False)
    image = read_volume(file)
    check_image(image, mask, case.id, file)
    prepared = prepare(image, case, study.train_crop, next(iter(predictors.values())))
    rows = []
    for mix, predictor in predictors.items():
        predicted = counted(segment_prepared(predictor, prepared, study.threads), mask.array, case, study.score_region)
        write_volume(mask.like(predicted), folder / mix / domain / f"{case.id}.nii.gz")
        found = measure(predicted, mask.array, mask.spacing, study.lesion_overlap, params.ingest.min_lesion_ml)
        rows.append(
            {
                "mix": mix,
                "domain": domain,
                "case": case.id,
                **{name: rounded(value) for name, value in found.items()},
            }
        )
    return rows
