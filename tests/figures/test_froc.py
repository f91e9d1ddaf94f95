import numpy as np

from pre2post.figures.froc import draw_froc

CURVE = (np.array([0, 0, 0.5]), np.array([0, 0.5, 0.5]), np.array([0, 0.1, 0.2]))


def test_one_panel_per_domain_with_a_curve_and_its_chance():
    figure = draw_froc({("pre", "test_pre"): CURVE, ("post", "test_pre"): CURVE, ("pre", "external_post1"): CURVE})
    panels = {axes.get_title(): axes for axes in figure.axes if axes.axison}
    assert list(panels) == ["test, pre", "external, post1"]
    assert [len(axes.get_lines()) for axes in panels.values()] == [4, 2]
    curve, chance = panels["external, post1"].get_lines()
    assert curve.get_ydata().tolist() == [0, 0.5, 0.5] and chance.get_ydata().tolist() == [0, 0.1, 0.2]
    assert curve.get_color() == chance.get_color()
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["pre", "post", "dotted: the same pieces at random places"]


def test_the_threshold_is_a_point():
    (axes,) = draw_froc({("threshold", "test_pre"): CURVE}).axes
    assert not axes.get_lines() and axes.collections[0].get_offsets().tolist() == [[0.5, 0.5]]


def test_without_lesions_the_figure_says_so():
    assert "no lesion" in draw_froc({}).axes[0].texts[0].get_text()
