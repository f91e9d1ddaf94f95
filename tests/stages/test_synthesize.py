"""The stage that writes every synthetic volume: its weights, its patients, and errors."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from repository import ROOT

import synthesize
from pre2post.cohort.case import Case, write_cases
from pre2post.cohort.patients import DUKE_SPIE2024, PUBLISHED, digest
from pre2post.core.errors import InputError
from pre2post.core.files import atomic_path, read_json
from pre2post.image.intensity import IntensityScale
from pre2post.image.volume import Volume, same_geometry
from pre2post.io.volume_file import read_volume, write_volume
from pre2post.pipeline.model_card import card_file, write_card
from pre2post.pix2pixhd.architecture import Architecture
from pre2post.pix2pixhd.checkpoint import save_generator
from pre2post.pix2pixhd.generator import make_generator
from pre2post.pix2pixhd.infer import infer
from pre2post.splits.splits import Splits, write_splits
from pre2post.synthesis.import_weights import import_weights
from pre2post.synthesis.volumes import translate

SPLITS = {
    "gan_train": ["T1"],
    "validation": ["V1", "V2"],
    "test": ["P1"],
    "external": ["X1"],
    "folds": [["V1"], ["V2"]],
    "multifocal": [],
}
WANTED = ["P1", "V1", "V2", "X1"]


def save_weights(path: Path, brighter: float, trained_on=None, **settings) -> None:
    """Save a generator that adds `brighter`, in normalised units, to its input."""
    architecture = Architecture(**{"width": 2, "downs": 1, "blocks": 0, "residual": True} | settings)
    generator = make_generator(architecture)
    last = [layer for layer in generator.modules() if isinstance(layer, torch.nn.Conv2d)][-1]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, 2 * brighter)
    save_generator(generator, path, trained_on)
    write_card(path, "a generator that brightens")


@pytest.fixture
def place(tmp_path, monkeypatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["slices"]["size"], content["synthesis"]["weights"] = 16, "weights/published.safetensors"
    content["gan"] |= {"threads": 1, "downs": 1}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "splits.json").write_text(json.dumps(SPLITS))
    volumes = tmp_path / "artifacts/volumes"
    for seed, case in enumerate([*WANTED, "T1"]):
        write_volume(
            Volume(np.random.default_rng(seed).random((3, 16, 12)) * 100, (0.7, 0.7, 2), (seed, 0, 0)),
            volumes / case / "pre.nii",
        )
    save_cases([*WANTED, "T1"])
    write_slices(1)
    save_weights(tmp_path / "weights/published.safetensors", 0.5, channels=3)
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)


def write_slices(phases: int) -> None:
    """Write training slices whose post-contrast image is 1.5 times the pre-contrast one, per phase 0.1 brighter."""
    pre = np.random.default_rng(7).random((6, 16, 16)).astype(np.float32)
    post = np.stack([1.5 * pre + 0.1 * phase for phase in range(phases)], axis=1)
    for name, array in (("pre", pre), ("post", post[:, 0] if phases == 1 else post)):
        with atomic_path(Path(f"artifacts/slices/train_{name}.npy")) as path:
            np.save(path, array)


def save_cases(names: list[str]) -> None:
    Path("artifacts/volumes/cases.json").write_text(
        json.dumps(
            [
                {
                    "id": name,
                    "site": "A",
                    "phases": ["pre", "post1"],
                    "has_mask": name != "T1",
                    "lesions": 1,
                    "low": 0.0,
                    "high": 200.0,
                    "box": None,
                    "patient": f"patient {name}",
                    "study": "",
                    "pixels": "",
                    "predefined_split": "",
                }
                for name in sorted(names)
            ]
        )
    )


def test_every_patient_with_a_mask_gets_a_volume_of_the_named_weights(place):
    save_weights(place / "artifacts/generator/generator.safetensors", 9.0)
    synthesize.main()
    written = sorted((place / "artifacts/synthetic").iterdir())
    made = ("", "__blur", "__lut")
    assert [path.name for path in written] == [f"{case}{name}.nii.gz" for case in WANTED for name in made]
    for path in written[::3]:
        pre, synthetic = read_volume(place / f"artifacts/volumes/{path.name[:2]}/pre.nii"), read_volume(path)
        assert same_geometry(pre, synthetic, tolerance=0)
        np.testing.assert_allclose(synthetic.array, pre.array + 0.5 * 200, atol=1e-3)


def test_a_patient_that_was_not_ingested_is_named_and_not_skipped(place):
    save_cases(["P1", "V1", "X1", "T1"])
    with pytest.raises(InputError, match="V2"):
        synthesize.main()
    assert not (place / "artifacts/synthetic").exists()


@pytest.mark.parametrize(
    "settings, words", [({"downs": 5}, r"slices\.size 16; expected: a multiple of 32"), ({"downs": 4}, "at least 32")]
)
def test_slices_that_do_not_fit_the_weights_are_refused_before_any_work(place, settings, words):
    save_weights(place / "weights/published.safetensors", 0.5, **settings)
    with pytest.raises(InputError, match=words):
        synthesize.main()
    assert not (place / "artifacts/synthetic").exists()


def test_missing_weights_are_named(place):
    (place / "weights/published.safetensors").unlink()
    with pytest.raises(InputError, match=r"weights/published\.safetensors.*missing"):
        synthesize.main()


def test_weights_are_refused_for_their_training_patients(place, capsys):
    weights = place / "weights/published.safetensors"
    save_weights(weights, 0.5, [digest(f"patient {name}") for name in ("T1", "V2", "X1")])
    with pytest.raises(InputError, match=r"weights.*1 of 2 in validation \(V2\); 1 of 1 in external \(X1\)"):
        synthesize.main()
    assert not (place / "artifacts/synthetic").exists()
    save_weights(weights, 0.5, [digest("patient T1")])
    synthesize.main()
    assert len(list((place / "artifacts/synthetic").glob("??.nii.gz"))) == len(WANTED)
    assert "warning" not in capsys.readouterr().err
    save_weights(weights, 0.5)
    synthesize.main()
    assert "warning: weights/published.safetensors" in capsys.readouterr().err


def test_weights_that_do_not_match_their_card_are_refused_before_any_work(place, capsys):
    weights = place / "weights/published.safetensors"
    kept = card_file(weights).read_bytes()
    save_weights(weights, 0.7, channels=3)
    card_file(weights).write_bytes(kept)
    with pytest.raises(InputError, match="do not match their card"):
        synthesize.main()
    write_card(weights, "a generator", params={"slices": {"size": 32}})
    with pytest.raises(InputError, match=r"slices\.size 16 in params\.yaml; expected: 32"):
        synthesize.main()
    assert not (place / "artifacts/synthetic").exists()
    card_file(weights).unlink()
    synthesize.main()
    assert "published.safetensors has no card" in capsys.readouterr().err


def scale_of(place: Path) -> dict[str, float]:
    """Return the intensity scale of params.yaml, which must equal that of the weights."""
    ingest = yaml.safe_load((place / "params.yaml").read_text())["ingest"]
    return {name: ingest[name] for name in ("low_percentile", "high_percentile", "headroom")}


def test_released_weights_are_refused_for_their_training_patients(place):
    """From the file of the original implementation through the import to the message of the stage."""
    generator = make_generator(Architecture(width=2, downs=1, blocks=1))
    torch.save(generator.state_dict(), place / "30_net_G.pth")
    released = place / "weights/published.safetensors"
    import_weights(place / "30_net_G.pth", released, settings={"size": 16, **scale_of(place)})
    cases = [
        Case(
            f"DUKE_{number:03d}",
            "DUKE",
            ("pre", "post1"),
            True,
            IntensityScale(0, 1),
            Path(),
            patient=f"duke:{number:03d}",
        )
        for number in range(1, 923)
    ]
    write_cases(place / "artifacts/volumes", cases)
    later = read_json(PUBLISHED / "duke_jmi2025.json")["test"]
    test = [name.replace("Breast_MRI", "DUKE") for name in later]
    write_splits(place / "splits.json", Splits([], [], test, [], []))
    with pytest.raises(InputError, match="70 of 100 in test"):
        synthesize.main()
    clean = [name.replace("Breast_MRI", "DUKE") for name in read_json(DUKE_SPIE2024)["test"]]
    write_splits(place / "splits.json", Splits([], [], clean, [], []))
    with pytest.raises(InputError, match=r"DUKE_\d{3}/pre\.nii"):  # the check has passed: only the volumes are missing
        synthesize.main()


def test_a_generator_of_two_phases_gives_two_volumes(place):
    content = yaml.safe_load((place / "params.yaml").read_text())
    content["slices"]["phases"], content["gan"]["channels"] = ["post1", "post2"], 2
    (place / "params.yaml").write_text(yaml.safe_dump(content))
    save_weights(place / "weights/published.safetensors", 0.5, channels=2)
    write_slices(2)
    synthesize.main()
    made = ("", "__post2", "__lut", "__lut_post2", "__blur", "__blur_post2")
    names = [f"{case}{name}.nii.gz" for case in WANTED for name in made]
    first, second = (read_volume(place / f"artifacts/synthetic/P1__lut{end}.nii.gz") for end in ("", "_post2"))
    np.testing.assert_allclose(second.array - first.array, 0.1 * 200, atol=0.5)
    assert sorted(path.name for path in (place / "artifacts/synthetic").iterdir()) == sorted(names)
    save_weights(place / "weights/published.safetensors", 0.5, channels=3)
    with pytest.raises(InputError, match="another number of phases"):
        synthesize.main()


def test_a_generator_with_neighbours_gets_those_of_the_volume(place):
    architecture = Architecture(width=2, downs=1, blocks=0, residual=True, neighbours=1)
    seen = []
    generator = make_generator(architecture)
    generator.model[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    volume = np.random.default_rng(0).random((3, 16, 16)).astype(np.float32)
    translate(volume, 16, lambda slices: infer(generator, slices))
    np.testing.assert_allclose((seen[0][:, 1] + 1) / 2, volume[[0, 0, 1]], atol=1e-6)
    np.testing.assert_allclose((seen[0][:, 2] + 1) / 2, volume[[1, 2, 2]], atol=1e-6)


def test_a_baseline_loses_the_same_detail_as_a_generator_of_another_matrix():
    volume = np.random.default_rng(0).random((3, 20, 18)).astype(np.float32)
    (same,) = translate(volume, 20, lambda slices: slices)
    np.testing.assert_array_equal(same, volume)
    (smaller,) = translate(volume, 16, lambda slices: slices)
    assert smaller.shape == volume.shape and 0.05 < np.abs(smaller - volume).mean() < 0.3
    assert len(translate(volume, 16, lambda slices: np.stack([slices, slices], 1))) == 2


def test_the_look_up_table_is_that_of_the_training_slices(place):
    synthesize.main()
    for case in WANTED:
        pre = read_volume(place / f"artifacts/volumes/{case}/pre.nii")
        lut = read_volume(place / f"artifacts/synthetic/{case}__lut.nii.gz")
        assert same_geometry(pre, lut, tolerance=0)
        np.testing.assert_allclose(lut.array, 1.5 * pre.array, atol=1.0)


def test_missing_training_slices_are_named(place):
    (place / "artifacts/slices/train_post.npy").unlink()
    with pytest.raises(InputError, match=r"train_post\.npy.*missing.*extract_slices"):
        synthesize.main()
