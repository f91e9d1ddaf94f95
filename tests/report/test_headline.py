"""The few numbers that `dvc metrics diff` shows first."""

import json

from pre2post.report.headline import headline


def make(results):
    return headline(results.metrics["same"], results.tables["synthesis_statistics"], results.metrics["segmentation"])


def test_it_holds_the_errors_of_every_method_with_their_intervals(results):
    found = make(results)
    assert found["n"] == {"test": 7, "external": 3}
    assert found["mae"] == {
        "test": {"lesion": {"synthetic": 0.3, "pre": 0.4, "lut": 0.32, "oracle": 0.12}},
        "external": {"lesion": {"synthetic": 0.5, "pre": 0.6}},
    }
    assert found["auc"] == {"test": {"synthetic": 0.97, "real": 0.99}}
    assert found["mae_ci"]["test"]["lesion"]["synthetic"] == [0.25, 0.35]
    assert found["mae_ci"]["external"]["lesion"]["synthetic"] == [None, None]


def test_it_holds_the_dice_of_every_mix_and_its_gain_by_domain(results):
    found = make(results)
    assert found["same_epoch"] == 4
    assert found["dice"] == {
        "test_pre": {"pre": 0.5, "pre_synthetic": 0.45},
        "test_post1": {"pre": 0.3, "pre_synthetic": 0.6},
    }
    assert found["gain"] == {"test_pre": {"pre_synthetic": -0.05}, "test_post1": {"pre_synthetic": 0.3}}
    assert found["gain_ci"]["test_post1"]["pre_synthetic"] == [0.2, 0.4]
    assert set(found["dice_ci"]) == set(found["dice"])


def test_intervals_are_lists_that_dvc_leaves_out_of_its_tables(results, tmp_path, monkeypatch):
    from dvc.repo import Repo

    monkeypatch.chdir(tmp_path)
    (tmp_path / "headline.json").write_text(json.dumps(make(results)))
    (tmp_path / "dvc.yaml").write_text("metrics: [headline.json]\n")
    with Repo.init(".", no_scm=True) as repo:
        shown = repo.metrics.show()[""]["data"]["headline.json"]["data"]
    assert shown["dice"]["test_pre"]["pre"] == 0.5
    assert not json.dumps(shown).count("[")
