"""Figures show the numbers that they were given, and the same numbers give the same file."""

import numpy as np
import pytest

from figures.canvas import save
from figures.comparison import draw_dice, draw_quality
from figures.curves import LOSSES, PARTS, draw_losses, draw_same
from figures.examples import Example, draw_examples


@pytest.fixture
def example():
    random = np.random.default_rng(0)
    pre, post = random.random((2, 3, 8, 10))
    mask = np.zeros((3, 8, 10), np.uint8)
    mask[1, 2:5, 2:5] = 1
    return Example("001: best", pre, post, post - 0.25, mask, aspect=1.0)


def lines(axes):
    return {line.get_label(): line.get_ydata().tolist() for line in axes.get_lines()}


def test_losses_are_drawn_by_epoch():
    history = [{"epoch": str(epoch), "learning_rate": "0.1", **{name: str(epoch + 1) for name in LOSSES}, "g_l1": "0.0"}
               for epoch in (1, 2)]
    drawn = lines(draw_losses(history).axes[0])
    assert set(drawn) == set(LOSSES.values()) - {"L1 (G)"}  # a loss that is off is no line
    assert drawn["feature matching (G)"] == [2.0, 3.0]


def test_same_marks_the_lowest():
    rows = [{"epoch": str(epoch), "same": str(same), "wins": "0.5", **{f"scaled_{part}": "0.5" for part in PARTS}}
            for epoch, same in ((10, 0.8), (20, 0.1), (30, 0.4))]
    axes = draw_same(rows).axes[0]
    assert lines(axes)["SAMe"] == [0.8, 0.1, 0.4]
    assert [text.get_text() for text in axes.texts] == ["chosen: epoch 20"]


def test_examples_show_the_slice_with_most_tumour_and_the_signed_difference(example):
    figure = draw_examples([example])
    images = [axes.get_images()[0].get_array() for axes in figure.axes[:4]]
    np.testing.assert_array_equal(images[0], example.pre[1])
    np.testing.assert_array_equal(images[1], example.post[1])
    np.testing.assert_allclose(images[3], -0.25)


def test_quality_joins_each_patient_over_the_methods():
    rows = [{"group": "test", "case": case, "region": region, "method": method, "mae": str(mae)}
            for region in ("lesion", "breast", "contralateral", "whole") for case, shift in (("a", 0), ("b", 1))
            for method, mae in (("pre", 3 + shift), ("lut", 2 + shift), ("synthetic", 1 + shift))]
    axes = draw_quality(rows).axes[0]
    assert sorted(line.get_ydata().tolist() for line in axes.get_lines()) == [[3, 2, 1], [4, 3, 2]]


def test_dice_writes_each_cell_with_its_interval():
    table = [{"setting": setting, "domain": domain, "dice": dice, "low": low, "high": 0.9}
             for setting, domain, dice, low in (("pre", "test_pre", 0.5, 0.4), ("pre", "test_post1", 0.25, None),
                                                ("post", "test_pre", 0.1, 0.0), ("post", "test_post1", 0.8, 0.7))]
    axes = draw_dice(table).axes[0]
    assert [text.get_text() for text in axes.texts] == [
        "0.50\n0.40 to 0.90", "0.25", "0.10\n0.00 to 0.90", "0.80\n0.70 to 0.90"]


def test_the_same_figure_gives_the_same_bytes(example, tmp_path):
    for name in ("a.png", "b.png"):
        save(draw_examples([example]), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
