"""Test SAMe: segment the volumes of every checkpoint with segmenters that have not seen the patient."""

from collections.abc import Callable, Mapping

from pre2post.cohort.case import Case
from pre2post.cohort.lesion import read_mask
from pre2post.core.device import best_device
from pre2post.core.errors import error_context
from pre2post.core.files import write_table
from pre2post.core.numbers import rounded
from pre2post.core.paths import CHECKPOINTS, METRICS, NNUNET, PLOTS, SEGMENTERS
from pre2post.core.section import Seed, StageParams
from pre2post.image.params import SlicesParams
from pre2post.io.volume_file import read_volume
from pre2post.metrics.mask_metrics import dice as dice_of
from pre2post.pipeline.provenance import write_metrics
from pre2post.pix2pixhd.checkpoint import load_generator
from pre2post.pix2pixhd.infer import infer
from pre2post.pix2pixhd.resume import checkpoint_path
from pre2post.same.dice_correlation import SAME, correlation_rows, dice_rows, summary
from pre2post.segmentation.breasts import counted, prepare, segment_prepared
from pre2post.segmentation.design import fold_folder, mix_folds
from pre2post.segmentation.nnunet import PLANS_OF, use_folders
from pre2post.segmentation.params import SegmentationParams
from pre2post.segmentation.prediction import load_segmenter, make_predictor
from pre2post.segmentation.raw_dataset import check_image
from pre2post.splits.splits import Splits
from pre2post.stats.params import StatisticsParams
from pre2post.synthesis.params import SynthesisParams
from pre2post.synthesis.volumes import synthetic_volumes

SAME_STREAM = 11  # number of this stage's random stream, so that no other stage draws the same numbers


class SameValidationParams(StageParams):
    """The parameters that this stage reads."""

    seed: Seed
    slices: SlicesParams
    synthesis: SynthesisParams
    statistics: StatisticsParams
    segmentation: SegmentationParams


def load_folds(params: SameValidationParams, splits: Splits) -> dict:
    """nnU-Net's predictor of the judging mix by fold, trained on the patients that the splits say."""
    use_folders(NNUNET, SEGMENTERS)
    import torch

    study, evaluator = params.segmentation, params.segmentation.evaluator
    folds = mix_folds(study.mixes[evaluator], splits, params.seed)
    predictors = {
        fold: make_predictor(
            load_segmenter(evaluator, [fold_folder(SEGMENTERS, evaluator, fold)], PLANS_OF[study.plan], folds),
            study.use_mirroring,
        )
        for fold in study.folds
    }
    torch.set_num_threads(1)  # folds evaluator side by side instead, which wastes no time on waiting threads
    return predictors


def load_translator(epoch: str, params: SameValidationParams) -> Callable:
    """A checkpoint as a function from normalised slices to translated ones."""
    file = checkpoint_path(CHECKPOINTS, int(epoch))
    generator = load_generator(file).to(best_device())
    generator.architecture.check_size(params.slices.size)

    def run(slices):
        with error_context(file=file):
            return infer(generator, slices, params.synthesis.batch_size, len(params.slices.phases))

    return run


def score_case(case: Case, translator: Callable, predictor, params: SameValidationParams, bar) -> float:
    """Dice of the segmenter's mask of one patient's synthetic volume, as evaluate_segmentation counts it."""
    study, pre, mask = params.segmentation, read_volume(case.path("pre")), read_mask(case)
    check_image(pre, mask, case.id, case.path("pre"))
    with error_context(case=case.id):
        made, *_ = synthetic_volumes(pre, case.scale, params.slices.size, translator)  # of several the first
    predicted = segment_prepared(predictor, prepare(made, case, study.train_crop, predictor), threads=1)
    bar.update()
    return dice_of(counted(predicted, mask.array, case, study.score_region), mask.array)


def report(
    dice: Mapping[str, Mapping[str, float]], scores: Mapping, params: SameValidationParams, note: str = ""
) -> None:
    """Writes every table; without any Dice they are empty, and the note says why."""
    seed = [params.seed, SAME_STREAM]
    rows = dice_rows(scores, dice, params.statistics, seed)
    correlations = correlation_rows(scores, dice, params.statistics, seed) if dice else []
    write_table(PLOTS / "same_dice.csv", rows)
    write_table(
        PLOTS / "same_dice_cases.csv",
        [
            {"epoch": epoch, "case": case, "dice": rounded(value)}
            for epoch, own in dice.items()
            for case, value in own.items()
        ],
    )
    write_table(PLOTS / "same_correlations.csv", correlations)
    found = summary(params.segmentation.evaluator, rows, correlations) if rows else {"note": note}
    write_metrics(METRICS / "same_dice.json", found)
    print(
        note
        or f"SAMe chooses epoch {found['epoch'][SAME]} (Dice {found['dice'][SAME]:.3f}), the Dice epoch "
        f"{found['epoch']['dice']} ({found['dice']['dice']:.3f}) of {found['checkpoints']}; rank correlation "
        f"with the Dice {found['spearman'][SAME]}"
    )
