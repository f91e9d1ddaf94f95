"""Validate SAMe: segment the volumes of every checkpoint with segmenters that were not trained on the patient."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pre2post.cohort.case import Case
from pre2post.cohort.lesion import read_mask
from pre2post.core.device import best_device
from pre2post.core.errors import error_context
from pre2post.core.files import rounded, write_tracked_table
from pre2post.core.paths import CHECKPOINTS, METRICS, NNUNET, PLOTS, SEGMENTERS
from pre2post.core.section import Seed, StageParams
from pre2post.image.params import SlicesParams
from pre2post.io.volume_file import read_volume
from pre2post.metrics.mask_metrics import dice as dice_of
from pre2post.pipeline.provenance import write_metrics
from pre2post.pix2pixhd.checkpoint import load_generator
from pre2post.pix2pixhd.infer import infer
from pre2post.pix2pixhd.resume import checkpoint_path
from pre2post.same.dice_correlation import SAME, Scores, correlation_rows, dice_rows, summary
from pre2post.segmentation.breasts import keep_scored_region, preprocess_parts, segment_parts
from pre2post.segmentation.folds import mix_folds
from pre2post.segmentation.nnunet import PLANS_OF, segmenter_folder, set_nnunet_folders
from pre2post.segmentation.params import SegmentationParams
from pre2post.segmentation.prediction import load_segmenter, make_predictor
from pre2post.segmentation.volumes import check_image
from pre2post.splits.splits import Splits
from pre2post.stats.params import StatisticsParams
from pre2post.synthesis.params import SynthesisParams
from pre2post.synthesis.volumes import synthetic_volumes

if TYPE_CHECKING:
    from tqdm import tqdm

    from pre2post.segmentation.prediction import nnUNetPredictor

SAME_STREAM = 11  # number of this random stream; no other stage uses it

Translator = Callable[[np.ndarray], np.ndarray]  # from normalised slices to synthetic ones


class SameValidationParams(StageParams):
    """The parameters that this stage reads."""

    seed: Seed
    slices: SlicesParams
    synthesis: SynthesisParams
    statistics: StatisticsParams
    segmentation: SegmentationParams


def load_folds(params: SameValidationParams, splits: Splits) -> dict[int, "nnUNetPredictor"]:
    """Return nnU-Net's predictor of each fold of the evaluator. Raises InputError if a fold is not of these splits."""
    set_nnunet_folders(NNUNET, SEGMENTERS)
    import torch

    segmentation, evaluator = params.segmentation, params.segmentation.evaluator
    folds = mix_folds(segmentation.mixes[evaluator], splits, params.seed)
    predictors = {}
    for fold in segmentation.folds:
        folder = segmenter_folder(SEGMENTERS, evaluator, fold)
        segmenter = load_segmenter(evaluator, [folder], PLANS_OF[segmentation.plan], folds)
        predictors[fold] = make_predictor(segmenter, segmentation.use_mirroring, segmentation.tile_step_size)
    torch.set_num_threads(1)  # folds run in parallel instead, so that no thread waits
    return predictors


def load_translator(epoch: str, params: SameValidationParams) -> Translator:
    """Return a checkpoint as a function from normalised slices to synthetic ones."""
    file = checkpoint_path(CHECKPOINTS, int(epoch))
    generator = load_generator(file).to(best_device())
    generator.architecture.check_size(params.slices.size)

    def run(slices: np.ndarray) -> np.ndarray:
        with error_context(file=file):
            return infer(generator, slices, params.synthesis.batch_size, len(params.slices.phases))

    return run


def score_case(
    case: Case, translator: Translator, predictor: "nnUNetPredictor", params: SameValidationParams, bar: "tqdm"
) -> float:
    """Return the Dice of the predicted mask of one patient's synthetic volume, scored as in evaluate_segmentation."""
    segmentation, pre, mask = params.segmentation, read_volume(case.path("pre")), read_mask(case)
    check_image(pre, mask, case.id, case.path("pre"))
    with error_context(case=case.id):
        synthetic, *_ = synthetic_volumes(pre, case.scale, params.slices.size, translator)  # the first phase
    parts = preprocess_parts(synthetic, case, segmentation.train_crop, predictor)
    predicted = segment_parts(predictor, parts, threads=1)
    bar.update()
    return dice_of(keep_scored_region(predicted, mask.array, case, segmentation.score_region), mask.array)


def report(
    dice: Mapping[str, Mapping[str, float]], scores: Scores, params: SameValidationParams, note: str = ""
) -> None:
    """Write all tables; without any Dice they are empty, and the note explains why.

    dice: {epoch: {case: Dice}}. scores: {metric: {epoch: score}}, from plots/same.csv.
    """
    seed = [params.seed, SAME_STREAM]
    rows = dice_rows(scores, dice, params.statistics, seed)
    correlations = correlation_rows(scores, dice, params.statistics, seed) if dice else []
    write_tracked_table(PLOTS / "same_dice.csv", rows)
    write_tracked_table(
        PLOTS / "same_dice_cases.csv",
        [
            {"epoch": epoch, "case": case, "dice": rounded(value)}
            for epoch, by_case in dice.items()
            for case, value in by_case.items()
        ],
    )
    write_tracked_table(PLOTS / "same_correlations.csv", correlations)
    found: dict[str, Any] = summary(params.segmentation.evaluator, rows, correlations) if rows else {"note": note}
    write_metrics(METRICS / "same_dice.json", found)
    print(
        note
        or f"SAMe selects epoch {found['epoch'][SAME]} (Dice {found['dice'][SAME]:.3f}), the Dice epoch "
        f"{found['epoch']['dice']} ({found['dice']['dice']:.3f}), of {found['checkpoints']} checkpoints; rank "
        f"correlation of SAMe with the Dice {found['spearman'][SAME]}"
    )
