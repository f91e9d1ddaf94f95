"""`from pre2post import predict, load_generator`: arrays, volumes and paths in, the same kind out."""

import doctest
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from repository import ROOT
from small_generators import SIZE, save_weights

import pre2post
from pre2post import InputError, Volume, load_generator, predict
from pre2post.image.volume import same_geometry
from pre2post.io.volume_file import read_volume, write_volume
from pre2post.mama_synth.metrics import to_z_score
from pre2post.pipeline.model_card import card_file, write_card
from pre2post.synthesis import predict as predict_module
from pre2post.synthesis.generator import card_params, trained_settings

RAS = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture
def place(tmp_path, monkeypatch, one_thread) -> Path:
    """A working directory with weights that change the image."""
    save_weights(tmp_path / "generator.safetensors", change=0.5)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_names_are_listed_and_others_are_refused():
    assert {"predict", "load_generator", "Volume", "InputError", "__version__"} <= set(dir(pre2post))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        pre2post.nothing  # noqa: B018


def test_the_example_of_the_docstring_runs(place):
    save_weights(place / "generator.safetensors", settings={"size": 96})
    (test,) = [test for test in doctest.DocTestFinder().find(predict_module) if test.examples]
    results = doctest.DocTestRunner().run(test)
    assert results.attempted >= 5 and not results.failed


def test_arrays_volumes_and_paths_give_the_same_numbers(place, dicom):
    generator = load_generator("generator.safetensors")
    array = dicom.body_array(1).astype(np.float32)
    volume = Volume(array, (0.7, 0.9, 2.5), (-10.0, 20.0, 30.0))
    write_volume(volume, place / "pre.nii")
    from_array, from_volume, from_path = (
        predict(array, generator),
        predict(volume, generator),
        predict("pre.nii", generator),
    )
    assert from_array.dtype == np.float32 and np.abs(from_array - array).max() > 1
    assert same_geometry(from_volume, volume, 0) and same_geometry(from_path, read_volume(Path("pre.nii")), 0)
    np.testing.assert_array_equal(from_volume.array, from_array)
    np.testing.assert_array_equal(from_path.array, from_array)
    np.testing.assert_array_equal(predict(array, "generator.safetensors"), from_array)
    np.testing.assert_allclose(predict(dicom.body_array(1), generator), from_array, atol=1e-3)


def test_a_volume_of_other_axes_is_turned_there_and_back(place, dicom):
    array = dicom.body_array(2).astype(np.float32)
    turned = predict(Volume(np.ascontiguousarray(array[:, ::-1, ::-1]), direction=RAS), "generator.safetensors")
    np.testing.assert_array_equal(turned.array[:, ::-1, ::-1], predict(array, "generator.safetensors"))


def test_a_slice_keeps_its_two_dimensions_and_any_linear_units(place, dicom):
    generator = load_generator("generator.safetensors", device="cpu")
    image = dicom.body_array(3)[2].astype(np.float64)
    found = predict(image, generator)
    assert found.shape == image.shape
    np.testing.assert_allclose(predict(to_z_score(image), generator), to_z_score(found), atol=1e-4)


def test_a_path_of_a_dicom_folder_gives_the_chosen_phase(place, dicom):
    for seed, description in enumerate(("ax dyn pre", "ax dyn 1st pass")):
        for file in dicom.save_series(Path(description), dicom.body_array(seed), description, seed + 1):
            Path("study").mkdir(exist_ok=True)
            file.rename(Path("study") / f"{seed}{file.name}")
    expected = predict(dicom.body_array(1), "generator.safetensors")
    for phase in (2, "2", "1st pass"):
        found = predict(Path("study"), "generator.safetensors", phase=phase)
        assert found.spacing == dicom.spacing
        np.testing.assert_allclose(found.array, expected, atol=1e-3)
    with pytest.raises(InputError, match="several volumes"):
        predict("study", "generator.safetensors")


def test_several_phases_come_by_name(place, dicom):
    weights = save_weights(place / "two.safetensors", settings={"phases": ["post1", "post3"]}, channels=2)
    found = predict(dicom.body_array(1), weights)
    assert list(found) == ["post1", "post3"] and {image.shape for image in found.values()} == {dicom.shape}
    volumes = predict(Volume(dicom.body_array(1)), weights)
    assert all(isinstance(volume, Volume) for volume in volumes.values())


def test_n4_needs_the_spacing_of_a_volume(place, dicom, refused):
    weights = save_weights(place / "n4.safetensors", settings={"n4_bias_correction": True})
    array = dicom.body_array(4) * np.linspace(0.5, 1.5, SIZE)
    refused(lambda: predict(array, weights), "needs the spacing", "Volume(array, spacing=(x, y, z))")
    np.testing.assert_allclose(predict(Volume(array, dicom.spacing), weights).array, array, atol=2e-3)


@pytest.mark.parametrize(
    "array, words",
    [
        (np.zeros((2, 3, 4, 5)), ("shape (2, 3, 4, 5)", "(z, y, x)")),
        (np.zeros((0, 3, 4)), ("shape (0, 3, 4)",)),
        (np.zeros((3, 3, 4), complex), ("complex128", "real numbers")),
        (np.full((3, 4, 5), np.nan), ("not finite",)),
        (np.ones((3, 4, 5)), ("no contrast",)),
    ],
)
def test_other_arrays_are_refused(place, refused, array, words):
    refused(lambda: predict(array, "generator.safetensors"), *words)


def test_a_phase_of_an_array_is_refused(place, refused):
    refused(lambda: predict(np.zeros((3, 4, 5)), "generator.safetensors", phase=1), "only a path")


def test_settings_fill_what_the_card_lacks_and_contradict_nothing(place, refused, capsys):
    weights = Path("generator.safetensors")
    write_card(weights, "a generator", params={"slices": {"size": SIZE}})
    given = {"phases": ["post1"], "n4_bias_correction": False, "low_percentile": 1.0, "high_percentile": 99.0}
    refused(lambda: load_generator(weights, **given), "a card without headroom", "--headroom")
    refused(lambda: load_generator(weights, **given, headroom=2, size=24), "size 24", f"expected: {SIZE}")
    loaded = load_generator(weights, **given, headroom=2, size=SIZE)
    assert loaded.settings.model_dump() == {**given, "size": SIZE, "headroom": 2.0}
    card_file(weights).unlink()
    refused(lambda: load_generator(weights), "no card, so without phases, size, n4_bias_correction")
    assert "has no card" in capsys.readouterr().err


def test_settings_of_a_card_come_back():
    settings = {"phases": ["post1"], "size": 512, "headroom": 1.0}
    assert trained_settings(card_params(settings)) == settings


@pytest.mark.slow
def test_the_package_can_be_built_with_its_data_and_without_stages(tmp_path):
    """The wheel holds every module and data file of the package, and nothing else."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*command, "--wheel-dir", tmp_path / "out", tmp_path], check=True, capture_output=True)
    (wheel,) = (tmp_path / "out").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = ROOT / "src/pre2post"
    wanted = {path for path in package.rglob("*") if path.suffix in (".py", ".json", ".csv")}
    assert found == {str(path.relative_to(ROOT / "src")) for path in wanted}
