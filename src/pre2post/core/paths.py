"""Paths of the files that stages read and write, relative to the repository root, as in dvc.yaml."""

from pathlib import Path

PARAMS = Path("params.yaml")
SPLITS = Path("splits.json")

PARAMS_CHECKED = Path("artifacts/params_checked.json")  # check_params: always the same content
VOLUMES = Path("artifacts/volumes")  # ingest: one folder per case
COHORT = VOLUMES / "cohort.csv"  # ingest: one row per case, used or not
SLICES = Path("artifacts/slices")  # extract_slices: memory-mapped arrays
CHECKPOINTS = Path("artifacts/gan")  # train_gan: one safetensors file per kept epoch
GENERATOR = Path("artifacts/generator/generator.safetensors")  # select_checkpoint: the chosen checkpoint, with its card
SYNTHETIC = Path("artifacts/synthetic")  # synthesize: see synthetic_name
NNUNET = Path("artifacts/nnunet")  # plan_and_preprocess: raw and preprocessed data, plans
SEGMENTERS = Path("artifacts/segmenters")  # train_segmentation: one folder per mix and fold
PREDICTIONS = Path("artifacts/predictions")  # evaluate_segmentation: <mix>/<domain>/<case>.nii.gz


def synthetic_name(case: str, phase: str = "synthetic") -> str:
    """Return the file name of a made volume: <case>.nii.gz for the phase synthetic, else <case>__<phase>.nii.gz.

    The phase synthetic_post2 is shortened to post2.
    """
    suffix = phase.removeprefix("synthetic").removeprefix("_")
    return f"{case}__{suffix}.nii.gz" if suffix else f"{case}.nii.gz"


METRICS = Path("metrics")
PLOTS = Path("plots")
RESULTS_PAGE = Path("docs/results.md")  # write_results
