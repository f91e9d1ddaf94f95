"""Where each stage finds and leaves its files, relative to the repository root. dvc.yaml names the same paths."""

from pathlib import Path

PARAMS = Path("params.yaml")
SPLITS = Path("splits.json")

PARAMS_CHECKED = Path("artifacts/params_checked.json")  # check_params: always the same content
VOLUMES = Path("artifacts/volumes")  # ingest: one folder a case
COHORT = VOLUMES / "cohort.csv"  # ingest: a line on every case, used or not
SLICES = Path("artifacts/slices")  # extract_slices: memory-mapped arrays
CHECKPOINTS = Path("artifacts/gan")  # train_gan: one safetensors file a kept epoch
GENERATOR = Path("artifacts/generator/generator.safetensors")  # select_checkpoint: the chosen one, its card beside it
SYNTHETIC = Path("artifacts/synthetic")  # synthesize: see synthetic_name
NNUNET = Path("artifacts/nnunet")  # plan_and_preprocess: raw and preprocessed data, plans
SEGMENTERS = Path("artifacts/segmenters")  # train_segmentation: one folder a setting and fold
PREDICTIONS = Path("artifacts/predictions")  # evaluate_segmentation: <setting>/<domain>/<case>.nii.gz


def synthetic_name(case: str, phase: str = "") -> str:
    """The file of a case's synthetic volume: of the first phase that the generator makes, or of a further one."""
    return f"{case}__{phase}.nii.gz" if phase else f"{case}.nii.gz"


METRICS = Path("metrics")
PLOTS = Path("plots")
