"""Segments the test and external patients by the ensemble of each setting's folds, and gives each domain's Dice."""

from pathlib import Path

from cohort.case import Case, find_cases, read_cases
from cohort.splits import read_splits
from cohort.tumour import read_mask
from imaging.masks import millilitres
from imaging.volume import read_volume, write_volume
from pipeline.errors import run_stage
from pipeline.files import write_json, write_table
from pipeline.params import Segmentation, load_params
from pipeline.paths import METRICS, NNUNET, PLOTS, PREDICTIONS, SEGMENTERS, SPLITS, SYNTHETIC, VOLUMES
from pipeline.progress import progress
from segmentation.evaluation import summarise_study
from segmentation.measures import dice
from segmentation.nnunet import PLANS_OF, use_folders, whole_folder
from segmentation.prediction import check_same_plans, load_segmenter, make_predictor, preprocess, segment
from segmentation.raw_dataset import check_image
from segmentation.study import volume_file


def main() -> None:
    params = load_params()
    study, splits, cases = params.segmentation, read_splits(SPLITS), read_cases(VOLUMES)
    groups = {name: find_cases(getattr(splits, name), cases) for name in ("test", "external")}
    tasks = [(f"{group}_{phase}", case, phase) for group, members in groups.items() for phase in study.test_phases
             for case in members]
    predictors = load_predictors(study)
    with whole_folder(PREDICTIONS) as folder:
        rows = [row for domain, case, phase in progress(tasks, "evaluate_segmentation", unit="volume")
                for row in evaluate(case, phase, domain, predictors, study.threads, folder)]
    rows.sort(key=lambda row: study.train.index(row["setting"]))
    write_table(PLOTS / "segmentation.csv", rows)
    summary = summarise_study(rows, study.settings, study.train, params.statistics, params.seed)
    write_json(METRICS / "segmentation.json", summary)
    for name in study.train:
        print(f"{name:20}" + "  ".join(f"{domain} {found['dice']:.3f}" for domain, found in summary[name].items()))


def load_predictors(study: Segmentation) -> dict:
    """nnU-Net's predictor of each trained setting, over the listed folds; all must share one plan."""
    use_folders(NNUNET, SEGMENTERS)
    import torch

    torch.set_num_threads(study.threads)
    segmenters = [load_segmenter(name, [SEGMENTERS / f"{name}_{fold}" for fold in study.folds], PLANS_OF[study.plan])
                  for name in study.train]
    for segmenter in segmenters:
        check_same_plans(segmenter.plans, segmenters[0].plans, SEGMENTERS / segmenter.name)
    return {segmenter.name: make_predictor(segmenter, study.mirroring) for segmenter in segmenters}


def evaluate(case: Case, phase: str, domain: str, predictors: dict, threads: int, folder: Path) -> list[dict]:
    """One row a setting of one volume, which is preprocessed once; the predicted masks go into `folder`."""
    file, mask = volume_file(case, phase, SYNTHETIC), read_mask(case, needs_tumour=False)
    check_image(read_volume(file), mask, case.id, file)
    data, properties = preprocess(file, next(iter(predictors.values())))
    rows = []
    for setting, predictor in predictors.items():
        predicted = segment(predictor, data, properties, threads)
        write_volume(mask.like(predicted), folder / setting / domain / f"{case.id}.nii.gz")
        rows.append({"setting": setting, "domain": domain, "case": case.id,
                     "dice": round(dice(predicted, mask.array), 6),
                     "predicted_ml": round(millilitres(predicted, mask.spacing), 4),
                     "true_ml": round(millilitres(mask.array, mask.spacing), 4)})
    return rows


if __name__ == "__main__":
    run_stage(main)
