"""The settings in experiments/: every name exists, every value is allowed, published ones are as published."""

import re
from pathlib import Path

import pytest
import yaml

from pipeline.params import load_params
from pix2pixhd.architecture import Architecture

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "experiments").glob("*.args"))


def settings_of(file):
    """The -S settings of a file as a list of (dotted name, value)."""
    return [(name, yaml.safe_load(value)) for name, value in re.findall(r"-S ([\w.]+)=(\S+)", file.read_text())]


@pytest.fixture
def applied(tmp_path):
    """The parameters with a file's settings put in, as DVC would."""
    def apply(file):
        content = yaml.safe_load((ROOT / "params.yaml").read_text())
        for name, value in settings_of(file):
            section, key = name.split(".")
            assert key in content[section], f"{name} is no parameter"
            content[section][key] = value
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
        return load_params(tmp_path / "params.yaml")
    return apply


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_setting_is_allowed_and_given_once(file, applied):
    names = [name for name, _ in settings_of(file)]
    assert len(set(names)) == len(names) == file.read_text().split().count("-S")
    assert applied(file)


def test_spie2024_is_the_published_generator_and_training(applied):
    params = applied(ROOT / "experiments" / "spie2024.args")
    gan = params.gan
    assert Architecture.of(gan) == Architecture(channels=3)
    assert (params.slices.size, gan.epochs, gan.decay_share, gan.batch_size) == (512, 200, 0.5, 1)
    assert gan.slices_per_case == params.slices.min_foreground == 0  # every slice of every patient
    assert (gan.discriminator_width, gan.discriminator_scales, gan.discriminator_layers) == (64, 2, 3)
    assert (gan.lambda_fm, gan.lambda_vgg, gan.learning_rate, gan.beta1, gan.flip) == (10, 10, 0.0002, 0.5, True)
    assert not (gan.lambda_l1 or gan.lambda_enhancement or gan.lesion_weight or gan.ema or gan.augment)
    study = params.segmentation
    assert (study.plan, study.epochs, study.iterations, study.batch_size) == ("nnunet", 1000, 250, 2)
