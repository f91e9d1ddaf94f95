"""Parameter by parameter, the stages that run again when it changes, as DVC itself sees it."""

import shutil

import pytest
import yaml
from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo
from repository import ROOT

EVALUATIONS = ("evaluate_synthesis", "evaluate_segmentation", "evaluate_detection", "validate_same")
GENERATOR = ("select_checkpoint", "synthesize")  # whose card, and check of the card, name how images were made
TRAINING = ("train_segmentation", "evaluate_segmentation")

CHECK = "check_params"  # reads every parameter; its output never changes, so it re-runs nothing
# The stages that read a parameter. Stages that depend on their outputs run as well, if the outputs change.
# A section stands for all of it; a longer name counts before a shorter one.
TABLE = {
    "seed": ("split", "train_gan", "select_checkpoint", "plan_and_preprocess", "train_segmentation", *EVALUATIONS),
    "ingest": ("ingest",),
    "ingest.n4_bias_correction": ("ingest", *GENERATOR),
    "ingest.low_percentile": ("ingest", *GENERATOR),
    "ingest.high_percentile": ("ingest", *GENERATOR),
    "ingest.headroom": ("ingest", *GENERATOR, "evaluate_synthesis"),
    "ingest.min_lesion_ml": ("ingest", "evaluate_segmentation"),
    "split": ("split",),
    "slices": ("extract_slices", *GENERATOR, "evaluate_synthesis"),
    "slices.size": ("extract_slices", *GENERATOR, "evaluate_synthesis", "validate_same"),
    "slices.phases": (
        "extract_slices",
        *GENERATOR,
        "evaluate_synthesis",
        "evaluate_detection",
        "validate_same",
        "report",
    ),
    "gan": ("train_gan", "select_checkpoint"),
    "gan.threads": ("train_gan", *GENERATOR),
    "metrics": ("select_checkpoint", "evaluate_synthesis"),
    "same": ("select_checkpoint",),
    "synthesis.weights": ("synthesize",),
    "synthesis.batch_size": ("synthesize", "validate_same"),
    "segmentation": ("evaluate_segmentation",),
    "segmentation.train": ("plan_and_preprocess", "evaluate_segmentation", "validate_same", "report"),
    "segmentation.mixes": ("plan_and_preprocess", "evaluate_segmentation", "validate_same"),
    "segmentation.folds": ("evaluate_segmentation", "validate_same", "report"),
    "segmentation.train_crop": ("plan_and_preprocess", "evaluate_segmentation", "validate_same"),
    "segmentation.score_region": ("evaluate_segmentation", "validate_same"),
    "segmentation.use_mirroring": ("evaluate_segmentation", "validate_same"),
    "segmentation.evaluator": ("evaluate_segmentation", "validate_same", "report"),
    "segmentation.plan": ("plan_and_preprocess", *TRAINING, "validate_same"),
    "segmentation.epochs": TRAINING,
    "segmentation.num_iterations_per_epoch": TRAINING,
    "segmentation.batch_size": TRAINING,
    "segmentation.learning_rate": TRAINING,
    "segmentation.warmup_epochs": TRAINING,
    "segmentation.oversample_foreground": TRAINING,
    "segmentation.validate_every_epochs": TRAINING,
    "segmentation.min_validation_dice": TRAINING,
    "segmentation.restarts": TRAINING,
    "segmentation.tile_step_size": ("evaluate_segmentation", "validate_same"),
    "segmentation.threads": (*TRAINING, "validate_same"),
    "statistics": ("select_checkpoint", *EVALUATIONS),
}


def leaves(content: dict, prefix: str = ""):
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and name != "segmentation.mixes":  # whose keys are the user's
            yield from leaves(value, f"{name}.")
        else:
            yield name


PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
LEAVES = list(leaves(PARAMS))


def stages_of(name: str) -> set[str]:
    """What the table says of a parameter: the entry of its longest beginning."""
    parts = name.split(".")
    beginnings = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return set(next(TABLE[beginning] for beginning in beginnings if beginning in TABLE))


def other(value):
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, dict):
        return {**value, "new": {"pre": 1.0}}
    return [*value, "x"] if isinstance(value, list) else "x"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """dvc.yaml and params.yaml of the repository, and DVC's view of the parameters of each stage."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, folder)
    with pytest.MonkeyPatch.context() as patch, Repo.init(folder, no_scm=True) as repo:
        patch.chdir(folder)
        found = {
            stage.name.partition("@")[0]: [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
            for stage in repo.stage.collect()
        }
        for dep in (dep for deps in found.values() for dep in deps):
            dep.save()  # as after a run with these parameters
        yield folder / "params.yaml", found


@pytest.mark.parametrize("name", LEAVES)
def test_a_change_runs_again_who_reads_the_parameter_and_nobody_else(project, name):
    file, stages = project
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    *sections, key = name.split(".")
    section = content
    for part in sections:
        section = section[part]
    section[key] = other(section[key])
    file.write_text(yaml.dump(content, Dumper=yaml.CSafeDumper))
    assert {stage for stage, deps in stages.items() if any(dep.status() for dep in deps)} == {CHECK, *stages_of(name)}


def test_the_table_has_no_parameter_that_is_none():
    names = {*LEAVES, *(name.partition(".")[0] for name in LEAVES)}
    assert not [name for name in TABLE if name not in names]
