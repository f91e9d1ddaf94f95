"""Prediction from file to file: geometry, intensity scale, every kind of file, and every kind of unusable input."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from commands import PRE2POST, code_of, environment
from repository import ROOT
from small_generators import SETTINGS, SIZE, save_weights

from pre2post.cli.main import main
from pre2post.dicom.series import read_folder
from pre2post.image.intensity import IntensityScale
from pre2post.image.n4 import log_bias_field
from pre2post.image.volume import Volume, same_geometry, to_lps
from pre2post.ingest.case_source import CaseSource
from pre2post.ingest.ingest_case import ingest_case
from pre2post.io.volume_file import read_volume, write_volume
from pre2post.mama_synth.metrics import MEAN, SD, from_z_score
from pre2post.pipeline.model_card import card_file, read_card, write_card
from pre2post.pix2pixhd.checkpoint import load_generator
from pre2post.pix2pixhd.infer import infer
from pre2post.synthesis.volumes import synthetic_volumes

TOLERANCE = 2e-3  # scanner units, of values up to 900: two conversions of the scale in float32
LPS = (1, 0, 0, 0, 1, 0, 0, 0, 1)
RAS = (-1, 0, 0, 0, -1, 0, 0, 0, 1)
SAGITTAL = (0, 0, -1, 1, 0, 0, 0, -1, 0)
MIRRORED = (0, -1, 0, 0, 0, 1, 1, 0, 0)
OBLIQUE = tuple(np.linalg.qr(np.array([[2, 9, 1], [-8, 2, 1.5], [-1, -2, 9.0]]))[0].ravel())
WEIGHTS = "identity.safetensors"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Iterator[Path]:
    """A working directory with weights that change nothing, and without params.yaml."""
    save_weights(tmp_path / WEIGHTS)
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)


def run(source, target, *more) -> None:
    """Call the command as the command line does, by default with these weights."""
    weights = () if "--weights" in more else ("--weights", WEIGHTS)
    main(["predict", str(source), str(target), "--threads", "1", *weights, *map(str, more)])


@pytest.fixture
def call(place):
    def predicted(source, target="out/synthetic.nii.gz", *more) -> Volume:
        run(source, target, *more)
        assert [path.name for path in Path(target).parent.iterdir()].count(Path(target).name) == 1
        assert not list(place.rglob(".*.tmp.*")), "a temporary file is left"
        return read_volume(target)

    return predicted


@pytest.mark.parametrize("direction", [LPS, RAS, SAGITTAL, MIRRORED, OBLIQUE])
@pytest.mark.parametrize(
    "source, target", [("pre.nii.gz", "post.mha"), ("pre.mha", "out/a/b.nii"), ("pre.mhd", "post.nii.gz")]
)
def test_geometry_and_values_come_back(place, call, dicom, direction, source, target):
    volume = Volume(dicom.body_array(1).astype(np.int16), (0.7, 0.9, 2.5), (-101.5, 20.25, 33.125), direction)
    image = sitk.GetImageFromArray(volume.array)
    image.SetSpacing(volume.spacing)
    image.SetOrigin(volume.origin)
    image.SetDirection(volume.direction)
    sitk.WriteImage(image, str(place / source))
    turned_shape = to_lps(read_volume(place / source)).array.shape
    save_weights(place / WEIGHTS, settings={"size": max(turned_shape[1:])})
    result = call(source, target)
    assert same_geometry(result, volume, tolerance=1e-4)
    np.testing.assert_allclose(result.array, volume.array, atol=TOLERANCE)
    stored = sitk.ReadImage(target)
    assert stored.GetPixelID() == sitk.sitkFloat32 and stored.GetSize() == image.GetSize()


def test_equal_kinds_of_file_keep_the_geometry_to_the_last_digit(place, call, dicom):
    for name in ("pre.nii", "pre.mha"):
        write_volume(Volume(dicom.body_array(2), (0.7, 0.9, 2.3), (-101.7, 20.2, 33.1), OBLIQUE), place / name)
        given, result = read_volume(name), call(name, f"post{Path(name).suffix}")
        assert (result.spacing, result.origin, result.direction) == (given.spacing, given.origin, given.direction)


def test_another_matrix_is_resampled_there_and_back(place, call):
    y, x = np.indices((30, 37)) / 37
    array = 500 + 400 * np.sin(4 * x)[None] * np.cos(3 * y)[None] * np.ones((3, 1, 1))
    write_volume(Volume(array, (0.7, 0.9, 2.5), (1, 2, 3), RAS), place / "pre.nii")
    save_weights(place / WEIGHTS, settings={"size": 48})
    result = call("pre.nii")
    assert same_geometry(result, read_volume("pre.nii"), tolerance=0)
    np.testing.assert_allclose(result.array[:, 3:-3, 3:-3], array[:, 3:-3, 3:-3], atol=8)


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, -1, 0), (0, 1, 0, 0, 0, -1)])
def test_a_dicom_folder_gives_what_its_volume_gives(place, call, dicom, orientation):
    weights = save_weights(place / "changing.safetensors", change=1.0)
    array = dicom.body_array(3)
    dicom.save_series(place / "series", array, orientation=orientation, descending=True)
    axes = np.stack([orientation[:3], orientation[3:], np.cross(orientation[:3], orientation[3:])], axis=1)
    volume = Volume(array.astype(np.float32), dicom.spacing, dicom.origin, tuple(map(float, axes.ravel())))
    write_volume(volume, place / "pre.nii.gz")
    from_dicom = call("series", "a.nii.gz", "--weights", weights)
    from_nifti = to_lps(call("pre.nii.gz", "b.nii.gz", "--weights", weights))
    assert same_geometry(from_dicom, from_nifti, tolerance=1e-4) and same_geometry(from_dicom, to_lps(volume), 1e-4)
    np.testing.assert_array_equal(from_dicom.array, from_nifti.array)
    assert np.abs(from_dicom.array - to_lps(volume).array).max() > 1, "the generator must change something"


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, -1, 0), (0, 1, 0, 0, 0, -1)])
def test_a_dicom_folder_becomes_one(place, call, dicom, capsys, orientation, existing):
    weights = save_weights(place / "changing.safetensors", change=1.0)
    dicom.save_series(place / "series", dicom.body_array(3), orientation=orientation, descending=True)
    expected = call("series", "a.nii.gz", "--weights", weights)
    if existing:
        Path("out").mkdir()
    capsys.readouterr()
    run("series", "out/", "--weights", weights)
    assert capsys.readouterr().out.startswith("out: ")
    result, step = read_folder(Path("out")), 1.0
    assert same_geometry(result, expected, tolerance=1e-4)
    np.testing.assert_allclose(result.array, expected.array, atol=step / 2 + 1e-3)
    assert np.ptp(expected.array) > 100 * step, "a step must be small, or the comparison says little"
    assert not list(place.rglob(".*.tmp.*"))


@pytest.mark.parametrize("n4", [False, True])
def test_it_is_what_ingest_and_synthesize_make(place, call, dicom, ingest_settings, n4):
    weights = save_weights(place / "changing.safetensors", change=1.0, settings={"n4_bias_correction": n4})
    study = dicom.save_case(place / "data", "P1")
    settings = ingest_settings(n4_bias_correction=n4, headroom=SETTINGS["headroom"])
    case = ingest_case(CaseSource("P1", "A", study.parent, None), place / "volumes", settings).case
    pre = read_volume(case.path("pre"))
    (theirs,) = synthetic_volumes(pre, case.scale, SIZE, lambda slices: infer(load_generator(weights), slices))
    ours = call(study / "1.000000-ax dyn pre", "out.nii.gz", "--weights", weights)
    shading = np.exp(log_bias_field(read_folder(study / "1.000000-ax dyn pre"))) if n4 else np.ones(1)
    assert same_geometry(ours, theirs, tolerance=0)
    np.testing.assert_allclose(ours.array, theirs.array * shading, rtol=1e-4, atol=TOLERANCE)
    assert not n4 or np.ptp(shading) > 0.01, "the correction must change something, or its way back is not tested"


def test_the_card_gives_the_bytes_of_the_parameters_of_the_training(place, call, dicom, ingest_settings):
    """By the functions of the stages, with the parameters that the card holds."""
    scaling = {name: SETTINGS[name] for name in ("low_percentile", "high_percentile", "headroom")}
    params, weights = ingest_settings(**scaling), save_weights(place / "changing.safetensors", change=1.0)
    write_volume(Volume(dicom.body_array(8), dicom.spacing, dicom.origin), place / "pre.nii")
    pre = read_volume(Path("pre.nii"))
    scale = IntensityScale.from_pre(pre.array, params.low_percentile, params.high_percentile, params.headroom)
    (expected,) = synthetic_volumes(pre, scale, SIZE, lambda slices: infer(load_generator(weights), slices))
    write_volume(expected, place / "expected.nii.gz")
    call("pre.nii", "found.nii.gz", "--weights", weights)
    assert Path("found.nii.gz").read_bytes() == Path("expected.nii.gz").read_bytes()


def test_a_removed_bias_field_is_put_back(place, call, dicom):
    save_weights(place / WEIGHTS, settings={"n4_bias_correction": True})
    array = dicom.body_array(4) * np.linspace(0.5, 1.5, 20)
    write_volume(Volume(array, (0.7, 0.7, 2.5)), place / "pre.nii.gz")
    np.testing.assert_allclose(call("pre.nii.gz").array, array, atol=TOLERANCE)


@pytest.mark.parametrize("architecture", [{"channels": 3}, {"kind": "local"}, {"kind": "local", "channels": 3}])
def test_published_kinds_of_network_run(place, call, dicom, architecture):
    weights = save_weights(place / "other.safetensors", **architecture)
    write_volume(Volume(dicom.body_array(5)), place / "pre.nii.gz")
    np.testing.assert_allclose(
        call("pre.nii.gz", "out.nii.gz", "--weights", weights).array, dicom.body_array(5), atol=TOLERANCE
    )


def test_a_bounded_network_stays_within_the_scale(place, call, dicom):
    weights = save_weights(place / "tanh.safetensors", change=50.0, channels=3, residual=False)
    write_volume(Volume(dicom.body_array(6)), place / "pre.nii.gz")
    low, top = np.percentile(dicom.body_array(6), [SETTINGS["low_percentile"], SETTINGS["high_percentile"]])
    result = call("pre.nii.gz", "out.nii.gz", "--weights", weights).array
    assert low - 1e-2 <= result.min() and result.max() <= low + SETTINGS["headroom"] * (top - low) + 1e-2


def test_the_same_input_gives_the_same_bytes(place, call, dicom):
    write_volume(Volume(dicom.body_array(7)), place / "pre.nii.gz")
    call("pre.nii.gz", "a.nii.gz")
    call("pre.nii.gz", "b.nii.gz")
    call("pre.nii.gz", "a.nii.gz")  # an earlier result is replaced
    assert Path("a.nii.gz").read_bytes() == Path("b.nii.gz").read_bytes()


def nifti(name: str, array: np.ndarray) -> str:
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), name)
    return name


def missing(dicom):
    return {"source": "none.nii.gz"}, ("none.nii.gz", "missing")


def four_dimensions(dicom):
    return {"source": nifti("four.nii", np.ones((4, 4, 4, 2), np.float32))}, (
        "four.nii",
        "several volumes",
        "2: 4 x 4 x 4 voxels",
        "--phase 1 to 2",
    )


def colours(dicom):
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((4, 4, 4, 3), np.uint8), isVector=True), "rgb.mha")
    return {"source": "rgb.mha"}, ("rgb.mha", "3 values per voxel")


def one_plane(dicom):
    return {"source": nifti("plane.nii", np.ones((4, 4), np.float32))}, ("plane.nii", "2 dimensions")


def not_a_volume(dicom):
    Path("text.nii.gz").write_text("a letter")
    return {"source": "text.nii.gz"}, ("text.nii.gz", "cannot be read")


def truncated(dicom):
    data = Path("pre.nii").read_bytes()
    Path("cut.nii").write_bytes(data[: len(data) // 2])
    return {"source": "cut.nii"}, ("cut.nii",)


def a_single_dicom_file(dicom):
    file = dicom.save_series(Path("series"), dicom.body_array(0))[0]
    return {"source": file}, (str(file), "unknown kind", "folder of the series")


def empty_folder(dicom):
    Path("empty").mkdir()
    return {"source": "empty"}, ("file empty", "no DICOM MR slices", "0 other files or folders")


def folder_of_other_files(dicom):
    Path("other").mkdir()
    Path("other/notes.txt").write_text("a letter")
    return {"source": "other"}, ("file other", "no DICOM MR slices", "1 other files or folders")


def two_series(dicom):
    for file in dicom.save_series(Path("two"), dicom.body_array(0), "ax dyn pre", 4):
        file.rename(file.with_name(f"a{file.name}"))
    dicom.save_series(Path("two"), dicom.body_array(1), "ax dyn 1st pass", 5)
    return {"source": "two"}, (
        "file two",
        "1: 'ax dyn pre' (number 4, 6 slices)",
        "2: 'ax dyn 1st pass' (number 5, 6 slices)",
        "--phase 1 to 2",
    )


def missing_slice(dicom):
    dicom.save_series(Path("gap"), dicom.body_array(0))[2].unlink()
    return {"source": "gap"}, ("case gap", "missing")


def nan(dicom):
    array = dicom.body_array(0).astype(np.float32)
    array[0, 0, 0] = np.nan
    return {"source": nifti("nan.nii.gz", array)}, ("nan.nii.gz", "1 of 1920 voxels")


def infinity(dicom):
    array = dicom.body_array(0).astype(np.float32)
    array[0, 0, :2] = np.inf
    sitk.WriteImage(sitk.GetImageFromArray(array), "inf.mha")
    return {"source": "inf.mha"}, ("inf.mha", "2 of 1920 voxels")


def constant(dicom):
    return {"source": nifti("constant.nii", np.full((4, 4, 4), 7, np.int16))}, ("no contrast", "7")


def unknown_output(dicom):
    return {"target": "post.nrrd"}, ("post.nrrd", "unknown kind", ".nii, .nii.gz, .mha")


def output_of_two_files(dicom):
    return {"target": "post.mhd"}, ("post.mhd", "unknown kind")


def output_is_a_folder(dicom):
    Path("out.nii").mkdir()
    return {"target": "out.nii"}, ("out.nii", "is a folder", "the input is a file", "pre.nii", ".nii.gz")


def folder_for_a_file(dicom):
    return {"target": "out/"}, ("file out:", "is a folder", "the input is a file", "pre.nii", ".nii.gz")


def folder_that_is_not_empty(dicom):
    dicom.save_series(Path("series"), dicom.body_array(0))
    Path("out").mkdir()
    Path("out/notes.txt").write_text("mine")
    return {"source": "series", "target": "out"}, ("file out:", "not empty", "another name")


def folder_that_is_the_input(dicom):
    dicom.save_series(Path("series"), dicom.body_array(0))
    return {"source": "series", "target": "series"}, ("file series:", "not empty")


def folder_that_is_a_file(dicom):
    dicom.save_series(Path("series"), dicom.body_array(0))
    Path("out").write_text("mine")
    return {"source": "series", "target": "out"}, ("file out:", "not a folder")


def folder_inside_a_file(dicom):
    dicom.save_series(Path("series"), dicom.body_array(0))
    return {"source": "series", "target": "pre.nii/out"}, ("pre.nii", "cannot be used")


def folder_for_two_series(dicom):
    changed, texts = two_series(dicom)
    return changed | {"target": "out"}, texts


def output_is_the_input(dicom):
    return {"target": "../" + Path.cwd().name + "/pre.nii"}, ("pre.nii", "same file")


def output_is_a_link_to_the_input(dicom):
    os.symlink("pre.nii", "link.nii")
    return {"target": "link.nii"}, ("link.nii", "same file")


def output_inside_a_file(dicom):
    return {"target": "pre.nii/post.nii"}, ("pre.nii", "cannot be used")


def missing_weights(dicom):
    return {"--weights": "none.safetensors"}, ("none.safetensors", "missing")


def foreign_weights(dicom):
    torch.save({"x": torch.zeros(1)}, "foreign.pth")
    return {"--weights": "foreign.pth"}, ("foreign.pth", "not a weights file", "import-weights")


def folder_of_weights(dicom):
    Path("weights").mkdir()
    return {"--weights": "weights"}, ("file weights", "a folder")


def damaged_weights(dicom):
    weights = save_weights(Path("damaged.safetensors"))
    weights.write_bytes(b"letter")
    write_card(weights, "damaged", params=read_card(Path(WEIGHTS)).params)
    return {"--weights": weights}, ("damaged.safetensors", "cannot be read")


def slices_that_do_not_fit_the_network(dicom):
    weights = save_weights(Path("deep.safetensors"), downs=3)
    return {"--weights": weights}, (f"slices.size {SIZE}", "multiple of 8")


def slices_too_small(dicom):
    weights = save_weights(Path("deep.safetensors"), settings={"size": 16}, downs=4)
    return {"--weights": weights}, ("slices.size 16", "at least 32")


def phases_without_a_channel_each(dicom):
    weights = save_weights(Path("joint.safetensors"), settings={"phases": ["post1", "post2"]}, channels=3)
    return {"--weights": weights}, ("another number of phases", "3 channels")


def weights_of_another_card(dicom):
    weights = save_weights(Path("other.safetensors"), change=1.0)
    card_file(weights).write_bytes(card_file(Path(WEIGHTS)).read_bytes())
    return {"--weights": weights}, ("other.safetensors", "do not match their card", "pull weights and card again")


def an_option_that_contradicts_the_card(dicom):
    return {"--headroom": 2}, (WEIGHTS, "headroom 2.0", "expected: 3.0", "identity.card.json", "leave out --headroom")


def a_card_without_settings(dicom):
    write_card(Path(WEIGHTS), "a generator", params={"slices": {"size": SIZE}, "ingest": 3})
    words = ("without phases, n4_bias_correction, low_percentile", "--output-phases, --n4 or --no-n4, --low-percentile")
    return {}, (WEIGHTS, *words)


def a_card_of_impossible_settings(dicom):
    save_weights(Path(WEIGHTS), settings={"size": "large"})
    return {}, ("identity.card.json", "size 'large'", "valid integer")


def percentiles_in_the_wrong_order(dicom):
    save_weights(Path(WEIGHTS), settings={"low_percentile": 99.95})
    return {}, ("identity.card.json", "low_percentile must be below high_percentile")


def a_damaged_card(dicom):
    card_file(Path(WEIGHTS)).write_text('{"model": "x"}')
    return {}, ("identity.card.json", "not a model card", "sha256")


def weights_that_give_nan(dicom):
    return {"--weights": save_weights(Path("nan.safetensors"), change=np.nan)}, ("not finite",)


def a_phase_of_a_single_volume(dicom):
    return {"--phase": 2}, ("pre.nii", "phase '2'", "leave out --phase")


def a_phase_that_is_not_there(dicom):
    return {"source": nifti("four.nii", np.ones((4, 4, 4, 2), np.float32)), "--phase": "post2"}, ("'post2'", "1 to 2")


def a_name_of_two_phases(dicom):
    return two_series(dicom)[0] | {"--phase": "dyn"}, ("file two", "'dyn'", "1st pass", "1 to 2")


def a_slice_to_a_volume(dicom):
    return {"source": flat_slice("slice.mha", dicom)}, ("post.nii.gz", "must be a MetaImage", ".mha")


def a_coronal_slice(dicom):
    image = sitk.GetImageFromArray(dicom.body_array(0)[:1].astype(np.float32))
    image.SetDirection((1, 0, 0, 0, 0, 1, 0, 1, 0))
    sitk.WriteImage(image, "coronal.mha")
    return {"source": "coronal.mha", "target": "out.mha"}, ("coronal.mha", "not axial")


def slices_to_a_file(dicom):
    Path("slices").mkdir()
    flat_slice("slices/a.mha", dicom)
    return {"source": "slices", "target": "out.mha"}, ("out.mha", "must be a folder")


def a_volume_among_slices(dicom):
    Path("slices").mkdir()
    flat_slice("slices/a.mha", dicom)
    sitk.WriteImage(sitk.GetImageFromArray(dicom.body_array(0)), "slices/b.mha")
    return {"source": "slices", "target": "out"}, ("slices/b.mha", "not a single slice")


def slices_into_their_folder(dicom):
    Path("slices").mkdir()
    flat_slice("slices/a.mha", dicom)
    return {"source": "slices", "target": "slices"}, ("file slices:", "not empty")


def a_constant_slice(dicom):
    Path("slices").mkdir()
    flat_slice("slices/a.mha", dicom)
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((8, 8), np.float32)), "slices/b.mha")
    return {"source": "slices", "target": "out"}, ("slices/b.mha", "no contrast")


def too_few_slices_for_n4(dicom):
    save_weights(Path(WEIGHTS), settings={"n4_bias_correction": True})
    array = dicom.body_array(0)[:2].astype(np.float32)
    return {"source": nifti("thin.nii", array.T)}, ("thin.nii", "N4 is not possible", "2 slices")


BAD = [
    missing,
    four_dimensions,
    colours,
    one_plane,
    not_a_volume,
    truncated,
    a_single_dicom_file,
    empty_folder,
    folder_of_other_files,
    two_series,
    missing_slice,
    nan,
    infinity,
    constant,
    unknown_output,
    output_of_two_files,
    output_is_a_folder,
    folder_for_a_file,
    folder_that_is_not_empty,
    folder_that_is_the_input,
    folder_that_is_a_file,
    folder_inside_a_file,
    folder_for_two_series,
    output_is_the_input,
    output_is_a_link_to_the_input,
    output_inside_a_file,
    missing_weights,
    foreign_weights,
    folder_of_weights,
    damaged_weights,
    slices_that_do_not_fit_the_network,
    slices_too_small,
    phases_without_a_channel_each,
    weights_of_another_card,
    an_option_that_contradicts_the_card,
    a_card_without_settings,
    a_card_of_impossible_settings,
    percentiles_in_the_wrong_order,
    a_damaged_card,
    weights_that_give_nan,
    a_phase_of_a_single_volume,
    a_phase_that_is_not_there,
    a_name_of_two_phases,
    a_slice_to_a_volume,
    a_coronal_slice,
    slices_to_a_file,
    a_volume_among_slices,
    slices_into_their_folder,
    a_constant_slice,
    too_few_slices_for_n4,
]


@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
def test_bad_input_ends_in_one_line(place, capfd, dicom, spoil):
    nifti("pre.nii", dicom.body_array(0).astype(np.float32))
    Path("post.nii.gz").write_text("an earlier result")
    changed, texts = spoil(dicom)
    before = contents(place)
    capfd.readouterr()
    arguments = {"source": "pre.nii", "target": "post.nii.gz"} | changed
    source, target = arguments.pop("source"), arguments.pop("target")
    with pytest.raises(SystemExit) as caught:
        run(source, target, *(text for pair in arguments.items() for text in pair))
    message = caught.value.code
    assert isinstance(message, str) and message.startswith("error: ") and "\n" not in message
    assert not [text for text in texts if text not in message], message
    assert capfd.readouterr() == ("", ""), "more than one line is printed"
    assert contents(place) == before, "an earlier result was changed, or something was left behind"


def contents(place: Path) -> dict[str, bytes]:
    return {str(file.relative_to(place)): file.read_bytes() for file in sorted(place.rglob("*")) if file.is_file()}


def test_a_full_disk_is_reported_and_leaves_nothing(place, monkeypatch, dicom):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    dicom.save_series(Path("series"), dicom.body_array(0))
    before = contents(place)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SystemExit, match=r"^error: the disk is full while writing .*/out; what to do: .*$"):
        run("series", "out")
    assert contents(place) == before and not (place / "out").exists()


def command(*arguments) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    line, env = (*PRE2POST, "predict", *map(str, arguments)), environment(**code_of(ROOT))
    return subprocess.run(line, env=env, capture_output=True, text=True, timeout=120)


def test_as_a_command_in_a_folder_of_a_volume_and_weights_alone(place, dicom):
    write_volume(Volume(dicom.body_array(1)), place / "pre.nii")
    done = command("pre.nii", "out/a.nii", "--weights", WEIGHTS)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("out/a.nii: 20 x 16 x 6 voxels")
    names = {"pre.nii", "out", WEIGHTS, "identity.card.json"}
    assert {path.name for path in place.iterdir()} == names
    np.testing.assert_allclose(read_volume(place / "out/a.nii").array, dicom.body_array(1), atol=TOLERANCE)


def test_a_missing_input_is_reported_at_once(place):
    done = command("none.nii", "out/a.nii")
    assert done.returncode == 1 and not done.stdout and not (place / "out").exists()
    assert done.stderr.startswith("error: file none.nii: the input is missing") and done.stderr.count("\n") == 1


def test_by_default_it_uses_the_generator_of_the_pipeline(place, dicom, capsys):
    nifti("pre.nii", dicom.body_array(0).astype(np.float32))
    with pytest.raises(SystemExit, match=r"artifacts/generator/generator\.safetensors.*missing.*--weights"):
        main(["predict", "pre.nii", "out.nii"])
    save_weights(place / "artifacts/generator/generator.safetensors")
    main(["predict", "pre.nii", "out.nii"])
    assert capsys.readouterr().out.startswith("out.nii: ")


def test_weights_without_a_card_need_every_setting(place, call, dicom, capsys):
    nifti("pre.nii", dicom.body_array(0).astype(np.float32))
    expected = call("pre.nii", "expected.nii").array
    card_file(Path(WEIGHTS)).unlink()
    options = [
        "--size",
        SIZE,
        "--output-phases",
        "post1",
        "--low-percentile",
        0.1,
        "--high-percentile",
        99.9,
        "--no-n4",
    ]
    with pytest.raises(SystemExit, match=r"no card, so without headroom.*give them: --headroom"):
        run("pre.nii", "out.nii", *options)
    assert "warning: identity.safetensors has no card (identity.card.json)" in capsys.readouterr().err
    np.testing.assert_array_equal(call("pre.nii", "out.nii", *options, "--headroom", 3).array, expected)


def test_several_phases_become_files_or_folders_of_their_own(place, dicom):
    save_weights(place / WEIGHTS, settings={"phases": ["post1", "post3"]}, channels=2)
    nifti("pre.nii", dicom.body_array(0).astype(np.float32))
    run("pre.nii", "out/made.nii.gz")
    assert sorted(path.name for path in Path("out").iterdir()) == ["made_post1.nii.gz", "made_post3.nii.gz"]
    first, second = (read_volume(path) for path in Path("out").iterdir())  # of a network that changes nothing
    assert same_geometry(first, second)
    np.testing.assert_array_equal(first.array, second.array)
    dicom.save_series(place / "series", dicom.body_array(2))
    run("series", "made")
    assert sorted(path.name for path in Path("made").iterdir()) == ["post1", "post3"]
    assert all(len(list(folder.iterdir())) == dicom.shape[0] for folder in Path("made").iterdir())
    Path("slices").mkdir()
    flat_slice("slices/a.mha", dicom)
    run("slices", "made_slices")
    assert sorted(path.parent.name for path in Path("made_slices").glob("*/a.mha")) == ["post1", "post3"]


@pytest.mark.parametrize(
    "phase, index",
    [("1", 0), ("2", 1), ("3", 2), ("pre", 0), ("post1", 1), (" post2 ", 2)],
    ids=lambda value: str(value),
)
def test_a_phase_of_one_dicom_series_is_chosen(place, call, dicom, phase, index):
    """Volumes of one SeriesInstanceUID, told apart by their temporal position; file names are in another order."""
    for position in (2, 0, 1):
        for file in dicom.save_series(
            Path("new"), dicom.body_array(position), "dynamic", TemporalPositionIdentifier=position + 1
        ):
            instance = f"{(position + 1) % 3}{file.name}"
            Path("series").mkdir(exist_ok=True)
            file.rename(Path("series") / instance)
    found = call("series", "out.nii", "--phase", phase)
    np.testing.assert_allclose(found.array, dicom.body_array(index), atol=TOLERANCE)


@pytest.mark.parametrize("phase, index", [("1", 0), ("2", 1), ("PRE", 0), ("1st pass", 1)])
def test_a_series_of_a_folder_with_several_is_chosen_by_number_or_name(place, call, dicom, phase, index):
    two_series(dicom)
    found = call("two", "out.nii", "--phase", phase)
    np.testing.assert_allclose(found.array, dicom.body_array(index), atol=TOLERANCE)


@pytest.mark.parametrize("name", ["four.nii", "four.nii.gz", "four.mha"])
def test_a_time_point_of_a_file_of_four_dimensions_is_chosen(place, call, dicom, name):
    volumes = [Volume(dicom.body_array(k), (0.7, 0.9, 2.5), (-10.0, 20.0, 30.0), RAS) for k in range(3)]
    write_volume(volumes[1], place / "one.nii")
    images = [sitk.GetImageFromArray(volume.array.astype(np.int16)) for volume in volumes]
    for image in images:
        image.CopyInformation(sitk.ReadImage("one.nii"))
    sitk.WriteImage(sitk.JoinSeries(images), name)
    for phase, index in (("2", 1), ("post2", 2)):
        found = call(name, "out.nii", "--phase", phase)
        assert same_geometry(found, volumes[index], tolerance=1e-4)
        np.testing.assert_allclose(found.array, volumes[index].array, atol=TOLERANCE)


def flat_slice(name: str, dicom, seed: int = 0) -> str:
    """A slice in the form of MAMA-SYNTH: two dimensions, float32, z-scores."""
    image = sitk.GetImageFromArray(((dicom.body_array(seed)[0] - MEAN) / SD).astype(np.float32))
    image.SetSpacing((0.7, 0.9))
    image.SetOrigin((-3.0, 4.5))
    sitk.WriteImage(image, name)
    return name


@pytest.mark.parametrize("planes", [0, 1])
def test_a_slice_comes_back_in_its_form_and_units(place, dicom, planes):
    weights = save_weights(Path("changing.safetensors"), change=0.5)
    flat_slice("slice.mha", dicom)
    if planes:
        sitk.WriteImage(sitk.JoinSeries([sitk.ReadImage("slice.mha")], 5.0, 2.5), "slice.mha")
    run("slice.mha", "out.mha", "--weights", weights)
    given, found = sitk.ReadImage("slice.mha"), sitk.ReadImage("out.mha")
    assert found.GetPixelID() == sitk.sitkFloat32 and found.GetDimension() == 2 + planes
    for name in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(found, name)() == getattr(given, name)(), name
    before, after = (
        from_z_score(sitk.GetArrayFromImage(image).reshape(1, *dicom.shape[1:])) for image in (given, found)
    )
    write_volume(Volume(before), place / "volume.nii")  # of one plane, in scanner units
    run("volume.nii", "volume_out.nii", "--weights", weights)
    np.testing.assert_allclose(after, read_volume(Path("volume_out.nii")).array, atol=0.01)
    assert np.abs(after - before).max() > 1, "the generator must change something"


def test_the_bias_field_of_a_slice_is_removed_and_put_back(place, dicom):
    shaded = dicom.body_array(4)[0] * np.linspace(0.5, 1.5, dicom.shape[2])
    image = sitk.GetImageFromArray(((shaded - MEAN) / SD).astype(np.float32))
    sitk.WriteImage(image, "slice.mha")
    results = []
    for n4 in (True, False):
        for change in (0.0, 0.5):
            save_weights(place / WEIGHTS, change=change, settings={"n4_bias_correction": n4})
            run("slice.mha", "out.mha")
            results.append(from_z_score(sitk.GetArrayFromImage(sitk.ReadImage("out.mha"))))
    with_n4, changed_with_n4, without, changed = results
    np.testing.assert_allclose(with_n4, shaded, atol=0.01)
    np.testing.assert_allclose(without, shaded, atol=0.01)
    assert np.abs(changed_with_n4 - changed).max() > 1


def test_a_folder_of_slices_gives_what_each_slice_gives(place, dicom, capsys):
    weights = save_weights(Path("changing.safetensors"), change=0.5)
    Path("slices").mkdir()
    for seed in range(3):
        flat_slice(f"slices/{seed}.mha", dicom, seed)
    run("slices", "out", "--weights", weights)
    assert capsys.readouterr().out == "out: 3 slices\n" and len(list(Path("out").iterdir())) == 3
    run("slices/2.mha", "two.mha", "--weights", weights)
    assert Path("two.mha").read_bytes() == Path("out/2.mha").read_bytes() != Path("out/1.mha").read_bytes()
