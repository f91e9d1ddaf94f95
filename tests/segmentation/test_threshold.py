import numpy as np
import pytest

from pre2post.segmentation.threshold import LEVELS, choose_threshold, segment_by_threshold

SHAPE = (4, 12, 12)


def patient(brightness):
    """Return an image with a tumour of this brightness and a smaller bright spot, the breast, and the tumour."""
    image, tumour = np.full(SHAPE, 0.2), np.zeros(SHAPE, bool)
    tumour[1:3, 2:6, 2:6] = True
    image[tumour] = brightness
    image[0, 10, 10] = image[0, :, 0] = 1.2  # inside and outside the breast
    breast = np.ones(SHAPE, bool)
    breast[..., 0] = False
    return image, breast, tumour


def test_the_largest_bright_piece_of_the_breast_is_the_mask():
    image, breast, tumour = patient(0.8)
    found = segment_by_threshold(image, breast, 0.5)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, tumour)
    assert segment_by_threshold(image, breast, 0.9).sum() == 1
    assert segment_by_threshold(image, breast, 2.0).sum() == 0


def test_the_lowest_level_with_the_best_mean_dice_is_chosen():
    found = choose_threshold([patient(0.8), patient(0.6)])
    assert found == pytest.approx(LEVELS[LEVELS > 0.2][0])
    image, breast, tumour = patient(0.8)
    image[:, 8:] = 0.5  # a large part of the breast is nearly as bright
    assert 0.5 < choose_threshold([(image, breast, tumour)]) <= 0.8
