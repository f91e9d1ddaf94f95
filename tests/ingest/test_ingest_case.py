"""Ingestion of a case, from DICOM to volumes: phantom cases with known truth, in every naming style and trap."""

from itertools import product

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import label

from pre2post.cohort.case import read_cases, write_cases
from pre2post.core.files import write_table
from pre2post.image.masks import bounding_box
from pre2post.image.registration import Motion
from pre2post.image.volume import same_geometry
from pre2post.ingest.ingest_case import ingest_case
from pre2post.io.volume_file import read_volume

STYLES = ("passes", "misspelled", "multiphase", "dynamic", "vibrant", "all_pre", "views", "spair")
TRAPS = (
    frozenset(),
    frozenset({"descending"}),
    frozenset({"rotated"}),
    frozenset({"duplicated", "plain_t1"}),
    frozenset({"descending", "rotated", "duplicated", "plain_t1"}),
)


@pytest.fixture(scope="module")
def truth():
    """Three phases (z, y, x), mask and grid of one phantom patient per site."""
    from pre2post.phantom.patient import make_patient
    from pre2post.phantom.scanner import acquire
    from pre2post.phantom.sites import SITES

    found = {}
    for name in SITES:
        grid = SITES[name].grid(32, 8)
        patient = make_patient(3, 1, grid)
        found[name] = acquire(patient, SITES[name], [0.0, 2.0, 4.0], np.random.default_rng(0)), patient.tumour, grid
    return found


def write(root, truth, style, traps, masked=True):
    """Write known volumes with the writer of the phantom; the box is written with and without a mask."""
    from pre2post.phantom.annotation import annotation_box
    from pre2post.phantom.case import write_mask
    from pre2post.phantom.dicom import Frame, Series, write_series
    from pre2post.phantom.roster import STYLES as NAMES
    from pre2post.phantom.sites import SITES

    site = "B" if style in ("views", "spair") else "A"
    volumes, tumour, grid = truth[site]
    frame = Frame((3.1, -4.2, 15.3), "rotated" in traps, "descending" in traps)
    exports = [(phase, "") for phase in range(3)] + ([(1, "again")] if "duplicated" in traps else [])
    for phase, copy in exports:
        series = Series(
            "P1",
            "s",
            f"{phase}{copy}",
            NAMES[style].numbers[phase],
            NAMES[style].descriptions[phase],
            36000 + 150 * phase,
            True,
            150_000 * phase if style == "vibrant" else None,
        )
        folder = root / f"Duke-Breast-Cancer-MRI/P1/s/{phase}{copy}"
        write_series(folder, volumes[phase], grid, frame, series, SITES[site])
    if "plain_t1" in traps:
        series = Series("P1", "s", "plain", 3, "ax t1", 35000, False)
        write_series(root / "Duke-Breast-Cancer-MRI/P1/s/t1", volumes[2], grid, frame, series, SITES[site])
    if masked:
        (root / "segmentations").mkdir()
        write_mask(root / "segmentations/P1.nii", tumour, grid, frame)
    (root / "cases.csv").write_text(f"case,site,mask\nP1,{site},{'segmentations/P1.nii' if masked else ''}\n")
    write_table(root / "Annotation_Boxes.csv", [{"Patient ID": "P1", **annotation_box(tumour, frame)}])
    return volumes, tumour, grid, frame


@pytest.mark.parametrize(
    "style, traps",
    [*product(STYLES, (TRAPS[0], TRAPS[-1])), *product(("passes",), TRAPS[1:-1])],
    ids=lambda value: value if isinstance(value, str) else "+".join(sorted(value)) or "plain",
)
def test_every_style_and_trap_gives_the_same_volumes(tmp_path, truth, style, traps, sources_of, ingest_settings):
    volumes, tumour, grid, frame = write(tmp_path, truth, style, traps)
    result = ingest_case(sources_of(tmp_path)[0], tmp_path / "out", ingest_settings())
    assert result.error is None, result.error
    assert result.case.phases == ("pre", "post1", "post2") and result.case.has_mask
    pre = read_volume(result.case.path("pre"))
    for role, expected in zip(result.case.phases, volumes, strict=True):
        volume = read_volume(result.case.path(role))
        np.testing.assert_array_equal(volume.array, expected.astype(np.float32))
        assert same_geometry(volume, pre, tolerance=0)
    mask = read_volume(result.case.path("mask")).array
    np.testing.assert_array_equal(mask, tumour)
    assert result.case.box == bounding_box(mask) and result.row["has_box"] is True
    np.testing.assert_allclose(pre.origin, np.add(grid.origin, frame.table), atol=1e-3)
    np.testing.assert_allclose(pre.spacing, grid.spacing, atol=1e-4)
    assert result.row["mask_ml"] == f"{tumour.sum() * grid.voxel_volume / 1000:.3f}"
    assert ("ax t1" in result.row["skipped_series"]) == ("plain_t1" in traps)
    assert ("copy" in result.row["skipped_series"]) == ("duplicated" in traps)


def test_box_and_mask_are_independent(tmp_path, truth, sources_of, ingest_settings):
    tumour = write(tmp_path, truth, "passes", TRAPS[-1], masked=False)[1]
    case = ingest_case(sources_of(tmp_path)[0], tmp_path / "out", ingest_settings()).case
    assert case.box == bounding_box(tumour) and not case.has_mask
    (tmp_path / "Annotation_Boxes.csv").unlink()
    result = ingest_case(sources_of(tmp_path)[0], tmp_path / "out", ingest_settings())
    assert result.case.box is None and result.row["has_box"] is False


def test_mask_components_below_the_minimum_are_not_lesions(tmp_path, truth, sources_of, ingest_settings):
    grid = write(tmp_path, truth, "passes", frozenset())[2]
    source = sources_of(tmp_path)[0]
    image = sitk.ReadImage(str(source.mask))
    image[0:3, 0:3, 0:2] = 1
    image[8, 0, 0] = 1  # an isolated voxel
    sitk.WriteImage(image, str(source.mask))
    one, every = (
        ingest_case(source, tmp_path / "out", ingest_settings(min_lesion_ml=size))
        for size in (1.5 * grid.voxel_volume / 1000, 0.0)
    )
    assert (one.case.lesions, one.row["lesions"], one.row["multifocal"]) == (1, 1, False)
    count = label(sitk.GetArrayViewFromImage(image), np.ones((3, 3, 3)))[1]
    assert count > 1 and (every.case.lesions, every.row["lesions"], every.row["multifocal"]) == (count, count, True)
    write_cases(tmp_path / "out", [every.case])
    assert read_cases(tmp_path / "out") == [every.case]


def test_the_scale_is_computed_from_pre(tmp_path, truth, sources_of, ingest_settings):
    volumes = write(tmp_path, truth, "passes", frozenset())[0]
    settings = ingest_settings(headroom=3.0)
    case = ingest_case(sources_of(tmp_path)[0], tmp_path / "out", settings).case
    low, top = np.percentile(volumes[0].astype(np.float32), [0.1, 99.9])
    assert (case.scale.low, case.scale.high) == pytest.approx((low, low + 3 * (top - low)))


def test_bias_correction_keeps_the_ratio_of_the_phases(tmp_path, truth, sources_of, ingest_settings):
    volumes = write(tmp_path, truth, "passes", frozenset(), masked=False)[0]
    case = ingest_case(sources_of(tmp_path)[0], tmp_path / "out", ingest_settings(n4_bias_correction=True)).case
    pre, post = (read_volume(case.path(role)).array for role in ("pre", "post1"))
    seen = volumes[0] > 20
    assert not np.array_equal(pre, volumes[0])
    np.testing.assert_allclose(
        (post / np.maximum(pre, 1e-6))[seen], (volumes[1] / np.maximum(volumes[0], 1))[seen], rtol=1e-3
    )
    assert case.scale.high != pytest.approx(3 * np.percentile(volumes[0], 99.9), rel=1e-3)


def test_unusable_masks_are_refused(tmp_path, dicom, sources_of, ingest_settings):
    dicom.save_cohort(tmp_path, 1)
    source = sources_of(tmp_path)[0]
    bad = [
        (lambda: dicom.save_mask(tmp_path, "P1", origin=(-10, -20, 300)), "not inside"),
        (lambda: dicom.save_mask(tmp_path, "P1", np.zeros(dicom.shape, np.uint8)), "mask is empty"),
        (lambda: source.mask.write_bytes(source.mask.read_bytes()[:900]), "truncated"),
        (source.mask.unlink, "missing"),
    ]
    for spoil, words in bad:
        spoil()
        result = ingest_case(source, tmp_path / "out", ingest_settings())
        assert result.case is None and words in str(result.error) and "case P1" in str(result.error)
        assert "P1.nii" in str(result.error) and result.row["status"] == "skipped"


def test_a_phase_that_does_not_cover_pre_is_refused(tmp_path, dicom, sources_of, ingest_settings):
    study = dicom.save_case(tmp_path, "P1")
    dicom.save_table(tmp_path, [("P1", "A", "")])
    (study / "2.000000-ax dyn 1st pass" / "1-006.dcm").unlink()
    result = ingest_case(sources_of(tmp_path)[0], tmp_path / "out", ingest_settings())
    assert "post1 does not cover pre" in str(result.error) and "20 x 16 x 5" in str(result.error)


def test_an_error_can_be_pickled_for_the_parent_process(tmp_path, dicom, sources_of, ingest_settings):
    import pickle

    dicom.save_table(tmp_path, [("P1", "A", "")])
    (tmp_path / "Duke-Breast-Cancer-MRI").mkdir()
    result = ingest_case(sources_of(tmp_path)[0], tmp_path / "out", ingest_settings())
    back = pickle.loads(pickle.dumps(result))
    assert str(back.error) == str(result.error) and back.error.case == "P1" and back.row == result.row


def test_a_phase_on_another_grid_is_resampled_and_noted(tmp_path, dicom, sources_of, ingest_settings):
    study = dicom.save_case(tmp_path, "P1", phases=1)
    dicom.save_table(tmp_path, [("P1", "A", "")])
    z, y, x = np.mgrid[:6, :10, :12]
    spacing, origin = (1.5, 1.5, 2.5), np.subtract(dicom.origin, (1.5, 1.5, 0))
    array = 100 * z + 30 * y + 15 * x
    dicom.save_series(
        study / "2.000000-ax dyn 1st pass", array, "ax dyn 1st pass", 2, "090100", "P1", spacing=spacing, origin=origin
    )
    result = ingest_case(sources_of(tmp_path)[0], tmp_path / "out", ingest_settings())
    assert result.error is None, result.error
    assert result.row["notes"].startswith("post1 resampled from 12 x 10 x 6 voxels of 1.5 x 1.5 x 2.5 mm")
    pre, post = (read_volume(result.case.path(role)) for role in ("pre", "post1"))
    assert same_geometry(pre, post, tolerance=0)
    z, y, x = np.indices(dicom.shape)
    np.testing.assert_allclose(post.array, 100 * z + 30 * (y / 2 + 1) + 15 * (x / 2 + 1), atol=1e-2)


@pytest.mark.parametrize("limit, moved", [(0.0, False), (3.0, True), (9.0, False)])
def test_a_phase_is_moved_only_if_its_motion_exceeds_the_limit(
    tmp_path, dicom, sources_of, ingest_settings, monkeypatch, limit, moved
):
    registered = []

    def fake_motion(volume, pre):
        registered.append(volume.array.shape)
        return Motion((0.0, 0.0, 0.0, 0.75, 0.0, 0.0), (0.0, 0.0, 0.0), 5.0)

    monkeypatch.setattr("pre2post.ingest.ingest_case.rigid_motion", fake_motion)
    dicom.save_cohort(tmp_path, 1)
    result = ingest_case(sources_of(tmp_path)[0], tmp_path / "out", ingest_settings(register_above_mm=limit))
    assert len(registered) == (2 if limit else 0)
    assert ("post1 moved by up to 5.0 mm onto pre" in result.row["notes"]) == moved
    post, still = (read_volume(result.case.path("post1")).array, dicom.body_array(0) + 100)
    assert np.array_equal(post[0, :, :-1], still[0, :, 1:] if moved else still[0, :, :-1])
