"""Train the generator from pre- to post-contrast slices, and keep a checkpoint every few epochs."""

import shutil
import sys
from pathlib import Path

import numpy as np

from pre2post.core.errors import InputError, run_stage
from pre2post.core.files import read_table, write_tracked_table
from pre2post.core.paths import CHECKPOINTS, PLOTS, SLICES
from pre2post.core.resume import resume_folder
from pre2post.core.section import Seed, StageParams
from pre2post.pix2pixhd.architecture import Architecture
from pre2post.pix2pixhd.dataset import PairedSlices
from pre2post.pix2pixhd.distributed import Group, join, launch, started_by_torchrun
from pre2post.pix2pixhd.params import GanParams
from pre2post.pix2pixhd.resume import finish
from pre2post.pix2pixhd.runtime import count_processes, resolve_runtime
from pre2post.pix2pixhd.train import train

KINDS = ("pre", "post", "lesion")
LENGTH = {"epochs", "lr_decay_fraction"}  # a longer training can start from the state of a shorter one
MACHINE = {"devices", "resume_every_steps"}  # without effect on the result; the training state has the processes


class Params(StageParams):
    """The parameters that this stage reads."""

    seed: Seed
    gan: GanParams


def main() -> None:
    params = Params.read()
    processes = count_processes(params.gan)
    if processes > 1 and not started_by_torchrun():
        launch(processes, __file__)
        return
    with join() as group:
        train_and_keep(params, group)


def train_and_keep(params: Params, group: Group) -> None:
    """Train, and copy the checkpoints to the outputs."""
    files = [SLICES / f"train_{kind}.npy" for kind in KINDS]
    pre, post, lesion = (np.load(file, mmap_mode="r") for file in files)
    cases, trained_on = read_index(SLICES / "index_train.csv")
    Architecture.from_settings(params.gan).check_size(pre.shape[-1])
    uses_lesions = bool(params.gan.lesion_weight or params.gan.lesion_slices)
    if uses_lesions and not lesion.any():
        print(
            "warning: no training slice has an annotated lesion: gan.lesion_weight and lesion_slices have no effect; "
            "add masks or boxes (Annotation_Boxes.csv) of the training patients to the cohort",
            file=sys.stderr,
        )

    folder = training_folder(params, [*files, SLICES / "index_train.csv"])
    checkpoints = train(
        params.gan,
        params.seed,
        cases,
        PairedSlices(pre, post, lesion if uses_lesions else None),
        folder,
        resolve_runtime(params.gan, group.processes),
        lambda history: write_tracked_table(PLOTS / "gan_losses.csv", history),
        group,
        trained_on,
    )
    if group.is_main_process:
        CHECKPOINTS.mkdir(parents=True, exist_ok=True)
        for checkpoint in checkpoints:
            shutil.copyfile(checkpoint, CHECKPOINTS / checkpoint.name)
        finish(folder)


def read_index(file: Path) -> tuple[list[str], set[str]]:
    """Return the case of each slice and the digests of all patients. Raises InputError if a column is missing."""
    rows = read_table(file)
    try:
        return [row["case"] for row in rows], {row["patient_digest"] for row in rows}
    except KeyError as error:
        raise InputError(
            "the index of the slices lacks a column", file=file, expected=error, hint="run `dvc repro extract_slices`"
        ) from None


def training_folder(params: Params, data: list[Path]) -> Path:
    """Return the folder of this training's state; its siblings are trainings that differ only in length."""
    settings = {"seed": params.seed, **params.gan.model_dump(exclude=LENGTH | MACHINE)}
    code = Path(__file__).parent.joinpath("pre2post/pix2pixhd").glob("*.py")
    return resume_folder("train_gan", settings, [*data, *code]) / (
        f"{params.gan.epochs}_epochs_decay_{params.gan.lr_decay_fraction:g}"
    )


if __name__ == "__main__":
    run_stage(main)
