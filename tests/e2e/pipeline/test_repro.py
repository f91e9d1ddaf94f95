"""The whole pipeline through real DVC commands, in a fresh clone, on a tiny phantom."""

import json
import math

import numpy as np

from pre2post.core.files import read_json, read_table
from pre2post.image.volume import same_geometry
from pre2post.io.volume_file import read_volume

MIXES = ("pre", "pre_synthetic")
GENERATOR = "artifacts/generator/generator.safetensors"
DOMAINS = tuple(
    f"{group}_{phase}" for group in ("test", "external") for phase in ("pre", "post1", "post2", "synthetic")
)


def numbers(content):
    """Every number in nested dictionaries and lists."""
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        return [number for part in content for number in numbers(part)]
    return [content] if isinstance(content, int | float) else []


def test_every_metric_is_there_and_finite(reproduced):
    for name in ("same", "synthesis", "segmentation", "detection", "same_dice", "headline"):
        found = numbers(read_json(reproduced.path / "metrics" / f"{name}.json"))
        assert found
        assert all(map(math.isfinite, found))
    dice = read_json(reproduced.path / "metrics" / "segmentation.json")
    assert {(mix, domain) for mix in MIXES for domain in dice[mix]} == {
        (mix, domain) for mix in MIXES for domain in DOMAINS
    }
    assert set(dice["gain"]["pre_synthetic"]) == set(DOMAINS)


def test_the_chosen_generator_is_the_checkpoint_with_the_lowest_same(reproduced):
    rows = read_table(reproduced.path / "plots" / "same.csv")
    best = min(rows, key=lambda row: float(row["same"]))["epoch"]
    assert read_json(reproduced.path / "metrics" / "same.json")["epoch"] == int(best)
    chosen = reproduced.path / GENERATOR
    kept = reproduced.path / "artifacts" / "gan" / f"epoch_{int(best):04d}.safetensors"
    assert chosen.read_bytes() == kept.read_bytes()


def test_synthetic_volumes_have_the_geometry_and_scale_of_their_input(reproduced):
    splits = read_json(reproduced.path / "splits.json")
    masked = {*splits["validation"], *splits["test"], *splits["external"]}
    folder = reproduced.path / "artifacts" / "synthetic"
    made = {f"{case}{end}" for case in masked for end in ("", "__lut", "__blur")}
    assert {path.name.removesuffix(".nii.gz") for path in folder.iterdir()} == made
    for case in masked:
        synthetic = read_volume(folder / f"{case}.nii.gz")
        pre = read_volume(reproduced.path / "artifacts" / "volumes" / case / "pre.nii")
        assert same_geometry(synthetic, pre)
        assert np.isfinite(synthetic.array).all()
        assert 0.2 < synthetic.array.std() / pre.array.std() < 5


def test_per_patient_rows_back_the_summaries(reproduced):
    summary = read_json(reproduced.path / "metrics" / "segmentation.json")["pre"]["test_post1"]
    rows = [
        float(row["dice"])
        for row in read_table(reproduced.path / "plots" / "segmentation.csv")
        if (row["mix"], row["domain"]) == ("pre", "test_post1")
    ]
    assert summary["n"] == len(rows)
    assert math.isclose(summary["dice"], sum(rows) / len(rows), rel_tol=1e-5, abs_tol=1e-9)


def test_figures_are_pictures(reproduced):
    for name in (
        "detection",
        "dice",
        "dice_paired",
        "examples",
        "gan_losses",
        "same",
        "same_dice",
        "segmentation_worst",
        "synthesis",
    ):
        assert (reproduced.path / "plots" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_repro_does_nothing(reproduced):
    assert "Running stage" not in reproduced.run("dvc", "repro")
    assert "up to date" in reproduced.run("dvc", "status")


def test_make_lock_tells_whether_dvc_lock_is_of_this_code(reproduced):
    lock = ("make", "-o", ".venv/.installed", "-o", ".venv/.package", "lock")
    assert "error" not in reproduced.run(*lock)
    reproduced.set_params(**{"split.test_fraction": 0.4})
    printed = reproduced.run(*lock, expect=2)
    assert "Running stage 'split'" in printed and "error: dvc.lock is not of this code" in printed
    reproduced.run("git", "checkout", "-q", "--", "params.yaml")


def test_an_experiment_reruns_what_depends_on_it_and_the_way_back_is_served_from_the_cache(reproduced):
    printed = reproduced.run("dvc", "exp", "run", "-S", "statistics.min_patients=3", "evaluate_synthesis")
    assert "Running stage 'evaluate_synthesis'" in printed
    assert "Running stage 'train_gan'" not in printed
    before = (reproduced.path / GENERATOR).read_bytes()
    assert "Running stage 'train_gan'" in reproduced.run("dvc", "exp", "run", "-S", "gan.beta1=0.6", "train_gan")
    printed = reproduced.run("dvc", "exp", "run", "-S", "gan.beta1=0.5", "-S", "statistics.min_patients=2")
    assert "Running stage" not in printed
    assert (reproduced.path / GENERATOR).read_bytes() == before
    assert "gan.beta1" in reproduced.run("dvc", "exp", "show", "--md")
    reproduced.restore()


def test_another_share_trains_that_setting_again_and_no_other(reproduced):
    share = "segmentation.mixes.pre_synthetic.synthetic"
    printed = reproduced.run("dvc", "exp", "run", "-S", f"{share}=0.7", "train_segmentation")
    again = [f"Running stage 'train_segmentation@pre_synthetic-{fold}'" in printed for fold in (0, 1)]
    assert all(again) and "train_segmentation@pre-0' didn't change, skipping" in printed
    assert "Running stage 'train_segmentation@pre-" not in printed
    reproduced.restore()


def test_metrics_and_plots_compare_revisions(reproduced):
    reproduced.run("dvc", "exp", "run", "-n", "shorter", "-S", "gan.epochs=1", "select_checkpoint")
    difference = json.loads(reproduced.run("dvc", "metrics", "diff", "HEAD", "shorter", "--json"))
    assert difference["metrics/same.json"]["checkpoints"] == {"old": 2, "new": 1, "diff": -1}
    assert "index.html" in reproduced.run("dvc", "plots", "diff", "HEAD", "shorter")
    reproduced.restore()


def test_an_unknown_parameter_ends_in_one_line(reproduced):
    reproduced.set_params(**{"gan.learning_rate": -1.0})
    printed = reproduced.run("python", "src/train_gan.py", expect=1)
    assert printed.startswith("error: file params.yaml: gan.learning_rate: found -1.0")
    assert len(printed.splitlines()) == 1
    printed = reproduced.run("dvc", "repro", "split", expect=255)
    assert "failed to reproduce 'check_params'" in printed and "Running stage 'split'" not in printed
    reproduced.run("git", "checkout", "-q", "--", "params.yaml")
