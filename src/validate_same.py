"""Validate SAMe: correlate it over the checkpoints with the Dice of a segmenter on their synthetic volumes.

The fold that held a patient out segments that patient, so no network was trained on the patients that it segments.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from pre2post.cohort.case import find_cases
from pre2post.core.errors import run_stage
from pre2post.core.files import read_table
from pre2post.core.paths import PLOTS, SPLITS, VOLUMES
from pre2post.core.progress import progress
from pre2post.evaluation.same_validation import (
    SameValidationParams,
    Translator,
    load_folds,
    load_translator,
    report,
    score_case,
)
from pre2post.same.dice_correlation import SAME, read_scores
from pre2post.splits.leakage import read_study


def main() -> None:
    params = SameValidationParams.read()
    segmentation, evaluator = params.segmentation, params.segmentation.evaluator
    scores = read_scores(read_table(PLOTS / "same.csv"))
    if evaluator not in segmentation.train:
        note = (
            f"SAMe is not validated, since segmentation.evaluator is {evaluator}, which is not trained: add it to "
            f"segmentation.train, or choose one of {', '.join(segmentation.train)}"
        )
        report({}, scores, params, note)
        return
    splits, cases = read_study(SPLITS, VOLUMES)
    held_out = {fold: find_cases(splits.folds[fold], cases) for fold in segmentation.folds}
    predictors = load_folds(params, splits)
    total = len(scores[SAME]) * sum(map(len, held_out.values()))
    with ThreadPoolExecutor(segmentation.threads) as pool, progress(None, "validate_same", total, unit="volume") as bar:

        def score_fold(translator: Translator, fold: int) -> dict[str, float]:
            return {case.id: score_case(case, translator, predictors[fold], params, bar) for case in held_out[fold]}

        dice = {}
        for epoch in scores[SAME]:
            parts = pool.map(partial(score_fold, load_translator(epoch, params)), held_out)
            dice[epoch] = {case: value for part in parts for case, value in part.items()}
    report(dice, scores, params)


if __name__ == "__main__":
    run_stage(main)
