"""Segments the test and external patients by the ensemble of each setting's folds, and measures it in every domain."""

from pathlib import Path

from pre2post.cohort.case import Case, find_cases
from pre2post.cohort.lesion import read_mask
from pre2post.core.errors import InputError, run_stage
from pre2post.core.files import write_table
from pre2post.core.numbers import rounded
from pre2post.core.paths import METRICS, NNUNET, PLOTS, PREDICTIONS, SEGMENTERS, SPLITS, SYNTHETIC, VOLUMES
from pre2post.core.progress import progress
from pre2post.evaluation.segmentation_table import gain_rows, statistics_rows, summary
from pre2post.io.volume_file import read_volume, write_volume
from pre2post.metrics.mask_metrics import measure
from pre2post.pipeline.params import Params, Segmentation, load_params
from pre2post.pipeline.provenance import write_metrics
from pre2post.segmentation.breasts import counted, prepare, segment_prepared
from pre2post.segmentation.design import baseline_of, domain_of, fold_folder, is_synthetic, setting_folds, volume_file
from pre2post.segmentation.nnunet import PLANS_OF, use_folders, whole_folder
from pre2post.segmentation.prediction import check_same_plans, load_segmenter, make_predictor
from pre2post.segmentation.raw_dataset import check_image
from pre2post.splits.leakage import read_study
from pre2post.splits.splits import Splits

GROUPS = ("test", "external")  # of patients: parts of the splits


def main() -> None:
    params = load_params()
    study, (splits, cases) = params.segmentation, read_study(SPLITS, VOLUMES)
    tasks = list_tasks(study, splits, cases)
    predictors = load_predictors(params, splits)
    with whole_folder(PREDICTIONS) as folder:
        rows = [row for domain, case, phase in progress(tasks, "evaluate_segmentation", unit="volume")
                for row in evaluate(case, phase, domain, predictors, params, folder)]
    rows.sort(key=lambda row: study.train.index(row["setting"]))
    write_table(PLOTS / "segmentation.csv", rows)

    statistics = statistics_rows(rows, params.statistics, params.seed)
    baselines = {name: baseline_of(name, study.settings, study.train) for name in study.train}
    gains = gain_rows(rows, baselines, params.statistics, params.seed)
    write_table(PLOTS / "segmentation_statistics.csv", statistics)
    write_table(PLOTS / "segmentation_gains.csv", gains)
    found = summary(statistics, gains)
    write_metrics(METRICS / "segmentation.json", found)
    for name in study.train:
        print(f"{name:20}" + "  ".join(f"{domain} {cell['dice']:.3f}" for domain, cell in found[name].items()))


def list_tasks(study: Segmentation, splits: Splits, cases: list[Case]) -> list[tuple[str, Case, str]]:
    """(domain, case, phase) of every volume to segment: a case without a phase is not in that phase's domain."""
    tasks = [(domain_of(group, phase), case, phase) for group in GROUPS for phase in study.test_phases
             for case in find_cases(getattr(splits, group), cases) if is_synthetic(phase) or phase in case.phases]
    found = {phase for _, _, phase in tasks}
    if not found:
        raise InputError("no test or external patient has any phase to test in", expected=", ".join(study.test_phases),
                         found=f"segmentation.test_phases of {len(cases)} patients", todo="name phases that they have")
    for phase in study.test_phases:
        if phase not in found:
            print(f"no test or external patient has {phase}: this domain is left out")
    return tasks


def load_predictors(params: Params, splits: Splits) -> dict:
    """nnU-Net's predictor of each trained setting, over the listed folds; all must share one plan."""
    use_folders(NNUNET, SEGMENTERS)
    import torch

    study = params.segmentation
    torch.set_num_threads(study.threads)
    segmenters = []
    for name in study.train:
        folders = [fold_folder(SEGMENTERS, name, fold) for fold in study.folds]
        segmenters.append(load_segmenter(name, folders, PLANS_OF[study.plan],
                                         setting_folds(study.settings[name], splits, params.seed)))
        check_same_plans(segmenters[-1].plans, segmenters[0].plans, SEGMENTERS / name)
    return {segmenter.name: make_predictor(segmenter, study.mirroring) for segmenter in segmenters}


def evaluate(case: Case, phase: str, domain: str, predictors: dict, params: Params, folder: Path) -> list[dict]:
    """One row a setting of one volume, which is preprocessed once; the predicted masks go into `folder`."""
    study = params.segmentation
    file, mask = volume_file(case, phase, SYNTHETIC), read_mask(case, needs_tumour=False)
    image = read_volume(file)
    check_image(image, mask, case.id, file)
    prepared = prepare(image, case, study.train_on, next(iter(predictors.values())))
    rows = []
    for setting, predictor in predictors.items():
        predicted = counted(segment_prepared(predictor, prepared, study.threads), mask.array, case, study.test_on)
        write_volume(mask.like(predicted), folder / setting / domain / f"{case.id}.nii.gz")
        found = measure(predicted, mask.array, mask.spacing, study.lesion_overlap, params.ingest.smallest_lesion_ml)
        rows.append({"setting": setting, "domain": domain, "case": case.id,
                     **{name: rounded(value) for name, value in found.items()}})
    return rows


if __name__ == "__main__":
    run_stage(main)
