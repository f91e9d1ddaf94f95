"""Scores every kept checkpoint on the validation patients; the lowest SAMe becomes the generator."""

import shutil
from pathlib import Path

import numpy as np
import torch

from pipeline.errors import InputError, run_stage
from pipeline.files import atomic_path, read_table, write_json, write_table
from pipeline.params import load_params
from pipeline.paths import CHECKPOINTS, GENERATOR, METRICS, PLOTS, SLICES
from pipeline.progress import progress
from pix2pixhd.checkpoint import load_generator
from pix2pixhd.translate import translate
from quality.checkpoint_scores import describe_real, score_checkpoint
from quality.same import Same, same


def find_checkpoints() -> dict[str, Path]:
    """The kept checkpoints by their epoch, oldest first."""
    found = {path.stem.removeprefix("epoch_").lstrip("0"): path for path in sorted(CHECKPOINTS.glob("epoch_*"))}
    if not found:
        raise InputError("there is no checkpoint", file=CHECKPOINTS, expected="epoch_*.safetensors",
                         todo="run `dvc repro train_gan`, or `dvc pull artifacts/gan`")
    return found


def as_rows(scores: dict[str, dict[str, float]], result: Same) -> list[dict]:
    """A row a checkpoint: SAMe, the metrics, and each scaled to how far it lies from the best."""
    return [{"epoch": epoch, "same": result.scores[epoch], **scores[epoch],
             **{f"scaled_{name}": value for name, value in result.components[epoch].items()}} for epoch in scores]


def main() -> None:
    params = load_params()
    torch.set_num_threads(params.gan.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    pre, post = (np.load(SLICES / f"validation_{phase}.npy", mmap_mode="r") for phase in ("pre", "post"))
    patients = [row["case"] for row in read_table(SLICES / "index_validation.csv")]
    real = describe_real(post, patients, params.seed)

    checkpoints = find_checkpoints()
    scores = {epoch: score_checkpoint(real, translate(load_generator(path).to(device), pre), params.same.ssim_sigma)
              for epoch, path in progress(checkpoints.items(), "SAMe", unit="checkpoint")}
    result = same(scores, params.same.weights.model_dump(), params.same.scaling)
    for note in result.notes:
        print(f"SAMe: {note}")

    write_table(PLOTS / "same.csv", as_rows(scores, result))
    write_json(METRICS / "same.json", {"epoch": int(result.best), "same": result.scores[result.best],
                                       **scores[result.best], "checkpoints": len(scores), "slices": len(post),
                                       "patients": len(set(patients))})
    with atomic_path(GENERATOR) as temporary:
        shutil.copyfile(checkpoints[result.best], temporary)


if __name__ == "__main__":
    run_stage(main)
