"""Tests SAMe itself: do the checkpoints that it calls better give volumes that a segmenter finds tumours in?

Each patient is segmented by the fold that held them out: no network has seen the patients that it judges by.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from pre2post.cohort.case import find_cases
from pre2post.core.errors import run_stage
from pre2post.core.files import read_table
from pre2post.core.paths import PLOTS, SPLITS, VOLUMES
from pre2post.core.progress import progress
from pre2post.evaluation.same_validation import SameValidationParams, load_folds, load_translator, report, score_case
from pre2post.same.dice_correlation import SAME, read_scores
from pre2post.splits.leakage import read_study


def main() -> None:
    params = SameValidationParams.read()
    study, evaluator = params.segmentation, params.segmentation.evaluator
    scores = read_scores(read_table(PLOTS / "same.csv"))
    if evaluator not in study.train:
        report(
            {},
            scores,
            params,
            f"segmentation.evaluator is {evaluator}, which is not trained: to test SAMe, add it to "
            f"segmentation.train, or let one of {', '.join(study.train)} evaluator",
        )
        return
    splits, cases = read_study(SPLITS, VOLUMES)
    held_out = {fold: find_cases(splits.folds[fold], cases) for fold in study.folds}
    predictors = load_folds(params, splits)
    total = len(scores[SAME]) * sum(map(len, held_out.values()))
    with ThreadPoolExecutor(study.threads) as pool, progress(None, "validate_same", total, unit="volume") as bar:

        def score_fold(translator, fold: int) -> dict[str, float]:
            return {case.id: score_case(case, translator, predictors[fold], params, bar) for case in held_out[fold]}

        dice = {}
        for epoch in scores[SAME]:
            parts = pool.map(partial(score_fold, load_translator(epoch, params)), held_out)
            dice[epoch] = {case: value for part in parts for case, value in part.items()}
    report(dice, scores, params)


if __name__ == "__main__":
    run_stage(main)
