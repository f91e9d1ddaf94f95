"""Trains the generator from pre- to post-contrast slices and keeps a checkpoint every few epochs."""

import shutil
from pathlib import Path

import numpy as np

from pipeline.errors import run_stage
from pipeline.files import read_table, write_table
from pipeline.params import load_params
from pipeline.paths import CHECKPOINTS, PLOTS, SLICES
from pipeline.resume import resume_folder
from pix2pixhd.generator import size_multiple
from pix2pixhd.train import check_size, train


def main() -> None:
    params = load_params()
    data = [SLICES / "train_pre.npy", SLICES / "train_post.npy", SLICES / "index_train.csv"]
    pre, post = (np.load(file, mmap_mode="r") for file in data[:2])
    cases = [row["case"] for row in read_table(data[2])]
    check_size(pre.shape[-1], size_multiple(params.gan.generator, params.gan.downs))

    code = Path(__file__).parent.joinpath("pix2pixhd").glob("*.py")
    resume = resume_folder("train_gan", {"seed": params.seed, **params.gan.model_dump()}, [*data, *code])
    checkpoints = train(params.gan, params.seed, cases, pre, post, resume,
                        after_epoch=lambda history: write_table(PLOTS / "gan_losses.csv", history))

    CHECKPOINTS.mkdir(parents=True, exist_ok=True)
    for checkpoint in checkpoints:
        shutil.copyfile(checkpoint, CHECKPOINTS / checkpoint.name)
    shutil.rmtree(resume)


if __name__ == "__main__":
    run_stage(main)
