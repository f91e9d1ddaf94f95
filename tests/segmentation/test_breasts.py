import numpy as np
import pytest

from pre2post.cohort.case import read_cases
from pre2post.io.volume_file import read_volume
from pre2post.segmentation import breasts
from pre2post.segmentation.breasts import (
    body_box,
    body_halves,
    keep_scored_region,
    preprocess_parts,
    segment_parts,
    segment_parts_with_probability,
)

SHAPE = (2, 3, 10)
SIDES = (slice(0, 5), slice(5, 10))


def columns(*places):
    mask = np.zeros(SHAPE, np.uint8)
    mask[..., list(places)] = 1
    return mask


@pytest.fixture
def case(cohort):
    return read_cases(cohort / "artifacts/volumes")[0]


@pytest.mark.parametrize(
    ("score_region", "kept"), [("both", (1, 7, 8)), ("predicted_breast", (7, 8)), ("annotated_breast", (1,))]
)
def test_a_prediction_is_kept_in_the_scored_region_alone(score_region, kept, case, monkeypatch):
    monkeypatch.setattr(breasts, "body_halves", lambda _: SIDES)
    found = keep_scored_region(columns(1, 7, 8), columns(2), case, score_region)
    np.testing.assert_array_equal(found, columns(*kept))
    assert found.dtype == np.uint8


@pytest.mark.parametrize("score_region", ["predicted_breast", "annotated_breast"])
def test_without_a_prediction_or_a_tumour_both_breasts_are_scored(score_region, case):
    np.testing.assert_array_equal(keep_scored_region(columns(), columns(2), case, score_region), columns())
    np.testing.assert_array_equal(keep_scored_region(columns(7), columns(), case, score_region), columns(7))


def test_the_predicted_breast_does_not_depend_on_the_true_mask(case, monkeypatch):
    monkeypatch.setattr(breasts, "body_halves", lambda _: SIDES)
    for true in (columns(2), columns(8)):
        found = keep_scored_region(columns(1, 7, 8), true, case, "predicted_breast")
        np.testing.assert_array_equal(found, columns(7, 8))


def test_halves_are_preprocessed_as_in_the_training(case, monkeypatch):
    """Each half alone: nnU-Net scales a volume by all of its voxels."""
    seen = []
    monkeypatch.setattr(
        breasts, "preprocess_array", lambda array, spacing, _: seen.append((array, spacing)) or (array, {})
    )
    image = read_volume(case.path("pre"))
    assert len(preprocess_parts(image, case, "both", None)) == 1
    parts = preprocess_parts(image, case, "breast", None)
    assert len(parts) == 2
    np.testing.assert_array_equal(seen[0][0], image.array)
    np.testing.assert_array_equal(np.concatenate([seen[1][0], seen[2][0]], axis=2), image.array)
    assert seen[1][0].shape[2] == body_halves(case)[0].stop
    assert all(spacing == (5.0, 2.5, 2.5) for _, spacing in seen)
    monkeypatch.setattr(
        breasts,
        "segment_with_probability",
        lambda predictor, data, properties, threads, inside: (data > 100, data / 255),
    )
    np.testing.assert_array_equal(segment_parts(None, parts, threads=1), image.array > 100)
    mask, probability = segment_parts_with_probability(None, parts, threads=1)
    np.testing.assert_array_equal(mask, image.array > 100)
    np.testing.assert_array_equal(probability, image.array / 255)


def test_each_part_has_its_part_of_the_body(case, monkeypatch):
    monkeypatch.setattr(breasts, "preprocess_array", lambda array, spacing, _: (array, {}))
    monkeypatch.setattr(breasts, "body_box", lambda _: (slice(1, 9), slice(2, 30), slice(3, 28)))
    monkeypatch.setattr(breasts, "body_halves", lambda _: (slice(0, 14), slice(14, 32)))
    image = read_volume(case.path("pre"))
    ((_, _, whole),) = preprocess_parts(image, case, "both", None)
    assert whole == (slice(1, 9), slice(2, 30), slice(3, 28))
    right, left = (box[2] for _, _, box in preprocess_parts(image, case, "breast", None))
    assert (right, left) == (slice(3, 14), slice(0, 14))


def test_the_box_holds_the_body(case):
    from pre2post.image.body_mask import body_mask

    pre = read_volume(case.path("pre"))
    mask = body_mask(pre.array, pre.spacing)
    inside = np.zeros_like(mask)
    inside[body_box(case)] = True
    assert mask.any() and not np.any(mask & ~inside)
    for axis in range(3):
        kept = mask.any(axis=tuple({0, 1, 2} - {axis}))
        assert np.flatnonzero(kept)[[0, -1]].tolist() == [body_box(case)[axis].start, body_box(case)[axis].stop - 1]
