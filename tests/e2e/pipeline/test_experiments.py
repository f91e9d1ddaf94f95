"""The settings in experiments/: every name exists, every value is allowed, published ones are as published."""

import re

import pytest
import yaml
from params_file import change_params
from repository import ROOT

from pre2post.pipeline.params import load_params
from pre2post.pix2pixhd.architecture import Architecture

FILES = sorted((ROOT / "experiments").glob("*.args"))


def lines_of(file):
    """What `grep -v '^#'` leaves of a file: one experiment, or one a line."""
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    return lines if all(line.startswith("-n ") for line in lines) else [" ".join(lines)]


def settings_of(text):
    """The -S settings as a list of (dotted name, value); of the values of a sweep all."""
    found = []
    for name, value in re.findall(r"-S ([\w.]+)=(\S+)", text):
        values = [value] if value.startswith("[") else value.split(",")
        found += [(name, yaml.safe_load(one)) for one in values]
    return found


EXPERIMENTS = [(file, line) for file in FILES for line in lines_of(file)]


@pytest.fixture
def applied(tmp_path):
    """The parameters with settings put in, as DVC would."""

    def apply(settings):
        known = yaml.safe_load((ROOT / "params.yaml").read_text())
        for name, _ in settings:
            section = known
            for key in name.split("."):
                assert key in section, f"{name} is no parameter"
                section = section[key]
        change_params(tmp_path / "params.yaml", dict(settings), source=ROOT / "params.yaml")
        return load_params(tmp_path / "params.yaml")

    return apply


@pytest.mark.parametrize(("file", "line"), EXPERIMENTS, ids=lambda part: getattr(part, "name", "line"))
def test_every_setting_is_allowed_and_given_once(file, line, applied):
    names = [name for name, _ in settings_of(line)]
    assert len(set(names)) == line.split().count("-S") > 0
    for setting in settings_of(line):
        assert applied([*settings_of(line), setting])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_first_line_says_what_it_answers_and_what_it_costs(file):
    first = file.read_text().splitlines()[0]
    assert first.startswith("# ") and re.search(r"minutes|hours|days", first)


def test_the_last_experiment_of_the_ablation_is_the_default_at_half_length(applied):
    *_, last = lines_of(ROOT / "experiments/ablation.args")
    assert settings_of(last) == [("gan.epochs", 4), ("gan.threads", 1)]
    assert applied([]).gan.epochs == 8


def test_spie2024_is_the_published_generator_and_training(applied):
    params = applied(settings_of(*lines_of(ROOT / "experiments/spie2024.args")))
    gan = params.gan
    assert Architecture.from_settings(gan) == Architecture(channels=3)
    assert (params.slices.size, gan.epochs, gan.lr_decay_fraction, gan.batch_size) == (512, 200, 0.5, 1)
    assert gan.slices_per_case == params.slices.min_foreground == 0  # every slice of every patient
    assert (gan.discriminator_width, gan.discriminator_scales, gan.discriminator_layers) == (64, 2, 3)
    assert (gan.lambda_fm, gan.lambda_vgg, gan.learning_rate, gan.beta1, gan.flip) == (10, 10, 0.0002, 0.5, True)
    assert not (gan.lambda_l1 or gan.lambda_enhancement or gan.lesion_weight or gan.ema or gan.augment)
    study = params.segmentation
    assert (study.plan, study.epochs, study.num_iterations_per_epoch, study.batch_size) == ("nnunet", 1000, 250, 2)


def test_journal2025_is_the_published_joint_training(applied):
    params = applied(settings_of(*lines_of(ROOT / "experiments/journal2025.args")))
    assert params.slices.phases == ["post1", "post2", "post3"] and params.slices.size == 512
    assert Architecture.from_settings(params.gan) == Architecture(channels=3)
    assert (params.gan.batch_size, params.gan.checkpoint_every_epochs, params.gan.epochs) == (8, 5, 200)
