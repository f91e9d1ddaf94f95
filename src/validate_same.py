"""Tests SAMe itself: do the checkpoints that it calls better give volumes that a segmenter finds tumours in?

Each patient is segmented by the fold that held them out: no network has seen the patients that it judges by.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from pre2post.cohort.case import Case, find_cases
from pre2post.cohort.lesion import read_mask
from pre2post.core.device import best_device
from pre2post.core.errors import about, run_stage
from pre2post.core.files import read_table, write_table
from pre2post.core.numbers import rounded
from pre2post.core.paths import CHECKPOINTS, METRICS, NNUNET, PLOTS, SEGMENTERS, SPLITS, VOLUMES
from pre2post.core.progress import progress
from pre2post.io.volume_file import read_volume
from pre2post.metrics.mask_metrics import dice as dice_of
from pre2post.pipeline.params import Params, load_params
from pre2post.pipeline.provenance import write_metrics
from pre2post.pix2pixhd.checkpoint import load_generator
from pre2post.pix2pixhd.infer import translate
from pre2post.pix2pixhd.resume import checkpoint_path
from pre2post.same.dice_correlation import SAME, correlation_rows, dice_rows, read_scores, summary
from pre2post.segmentation.breasts import counted, prepare, segment_prepared
from pre2post.segmentation.design import fold_folder, setting_folds
from pre2post.segmentation.nnunet import PLANS_OF, use_folders
from pre2post.segmentation.prediction import load_segmenter, make_predictor
from pre2post.segmentation.raw_dataset import check_image
from pre2post.splits.leakage import read_study
from pre2post.splits.splits import Splits
from pre2post.synthesis.volumes import synthetic_volumes

SAME_STREAM = 11  # number of this stage's random stream, so that no other stage draws the same numbers


def main() -> None:
    params = load_params()
    study, judge = params.segmentation, params.segmentation.judge
    scores = read_scores(read_table(PLOTS / "same.csv"))
    if judge not in study.train:
        report({}, scores, params, f"segmentation.judge is {judge}, which is not trained: to test SAMe, add it to "
                                   f"segmentation.train, or let one of {', '.join(study.train)} judge")
        return
    splits, cases = read_study(SPLITS, VOLUMES)
    held_out = {fold: find_cases(splits.folds[fold], cases) for fold in study.folds}
    predictors = load_folds(params, splits)
    total = len(scores[SAME]) * sum(map(len, held_out.values()))
    with ThreadPoolExecutor(study.threads) as pool, progress(None, "evaluate_same", total, unit="volume") as bar:
        def judge_fold(translator, fold: int) -> dict[str, float]:
            return {case.id: judge_case(case, translator, predictors[fold], params, bar) for case in held_out[fold]}

        dice = {}
        for epoch in scores[SAME]:
            parts = pool.map(partial(judge_fold, load_translator(epoch, params)), held_out)
            dice[epoch] = {case: value for part in parts for case, value in part.items()}
    report(dice, scores, params)


def load_folds(params: Params, splits: Splits) -> dict:
    """nnU-Net's predictor of the judging setting by fold, trained on the patients that the splits say."""
    use_folders(NNUNET, SEGMENTERS)
    import torch

    study, judge = params.segmentation, params.segmentation.judge
    folds = setting_folds(study.settings[judge], splits, params.seed)
    predictors = {fold: make_predictor(load_segmenter(judge, [fold_folder(SEGMENTERS, judge, fold)],
                                                      PLANS_OF[study.plan], folds), study.mirroring)
                  for fold in study.folds}
    torch.set_num_threads(1)  # folds judge side by side instead, which wastes no time on waiting threads
    return predictors


def load_translator(epoch: str, params: Params) -> Callable:
    """A checkpoint as a function from normalised slices to translated ones."""
    file = checkpoint_path(CHECKPOINTS, int(epoch))
    generator = load_generator(file).to(best_device())
    generator.plan.check_size(params.slices.size)

    def run(slices):
        with about(file=file):
            return translate(generator, slices, params.synthesis.batch_size, len(params.slices.phases))

    return run


def judge_case(case: Case, translator: Callable, predictor, params: Params, bar) -> float:
    """Dice of the segmenter's mask of one patient's synthetic volume, as evaluate_segmentation counts it."""
    study, pre, mask = params.segmentation, read_volume(case.path("pre")), read_mask(case)
    check_image(pre, mask, case.id, case.path("pre"))
    with about(case=case.id):
        made, *_ = synthetic_volumes(pre, case.scale, params.slices.size, translator)  # of several the first
    predicted = segment_prepared(predictor, prepare(made, case, study.train_on, predictor), threads=1)
    bar.update()
    return dice_of(counted(predicted, mask.array, case, study.test_on), mask.array)


def report(dice: Mapping[str, Mapping[str, float]], scores: Mapping, params: Params, note: str = "") -> None:
    """Writes every table; without any Dice they are empty, and the note says why."""
    seed = [params.seed, SAME_STREAM]
    rows = dice_rows(scores, dice, params.statistics, seed)
    correlations = correlation_rows(scores, dice, params.statistics, seed) if dice else []
    write_table(PLOTS / "same_dice.csv", rows)
    write_table(PLOTS / "same_dice_cases.csv", [{"epoch": epoch, "case": case, "dice": rounded(value)}
                                                for epoch, own in dice.items() for case, value in own.items()])
    write_table(PLOTS / "same_correlations.csv", correlations)
    found = summary(params.segmentation.judge, rows, correlations) if rows else {"note": note}
    write_metrics(METRICS / "same_dice.json", found)
    print(note or f"SAMe chooses epoch {found['epoch'][SAME]} (Dice {found['dice'][SAME]:.3f}), the Dice epoch "
                  f"{found['epoch']['dice']} ({found['dice']['dice']:.3f}) of {found['checkpoints']}; rank correlation "
                  f"with the Dice {found['spearman'][SAME]}")


if __name__ == "__main__":
    run_stage(main)
