"""The smallest set of tables and metrics that the report needs: two splits, two mixes, one domain each."""

import pytest

from pre2post.report.results import Results


def statistics_row(split, region, metric, method, mean, low="", high="", image="post", n="7"):
    return {
        "split": split,
        "image": image,
        "region": region,
        "metric": metric,
        "method": method,
        "mean": mean,
        "ci_low": low,
        "ci_high": high,
        "n": n,
    }


def gain_row(split, region, baseline, gain, low, high):
    return {
        "split": split,
        "image": "post",
        "region": region,
        "metric": "mae",
        "baseline": baseline,
        "gain": gain,
        "ci_low": low,
        "ci_high": high,
    }


def primary_row(mix, baseline, phase, question, margin, difference, p, shown):
    return {
        "split": "test",
        "mix": mix,
        "baseline": baseline,
        "phase": phase,
        "question": question,
        "margin": margin,
        "difference": difference,
        "ci_low": "-0.1",
        "ci_high": "0.4",
        "p_holm": p,
        "shown": shown,
    }


def froc_row(mix, domain, rate, sensitivity):
    return {
        "mix": mix,
        "domain": domain,
        "false_positives": str(rate),
        "sensitivity": sensitivity,
        "ci_low": "0.1",
        "ci_high": "0.9",
        "by_chance": "0.03",
    }


def cell(value, low, high, **more):
    return {"dice": value, "ci_low": low, "ci_high": high, "n": 7} | more


@pytest.fixture
def results() -> Results:
    statistics = [
        statistics_row("test", "lesion", "mae", "synthetic", "0.3", "0.25", "0.35"),
        statistics_row("test", "lesion", "mae", "pre", "0.4", "0.38", "0.44"),
        statistics_row("test", "lesion", "mae", "lut", "0.32", "0.29", "0.35"),
        statistics_row("test", "lesion", "ssim", "synthetic", "0.9", "0.8", "0.95"),
        statistics_row("external", "lesion", "mae", "synthetic", "0.5", n="3"),
        statistics_row("external", "lesion", "mae", "pre", "0.6", n="3"),
        statistics_row("external", "lesion", "mae", "lut", "", n="3"),
        statistics_row("test", "lesion", "mae", "oracle", "0.12", "0.1", "0.14"),
        statistics_row("test", "lesion", "auc", "synthetic", "0.97", "0.95", "0.98"),
        statistics_row("test", "lesion", "auc", "real", "0.99", "0.98", "1"),
        statistics_row("test", "breast", "any_false_pieces", "synthetic", "0.5", "0.25", "0.75", "subtraction"),
    ]
    gains = [
        gain_row("test", "lesion", "pre", "0.1", "0.05", "0.15"),
        gain_row("test", "lesion", "lut", "0.02", "-0.01", "0.05"),
        gain_row("external", "lesion", "pre", "-0.1", "-0.2", "-0.05"),
    ]
    distances = [
        {"split": "test", "distance": "fd_random", "compared": name, "value": value, "n_real": "168", "n": "168"}
        for name, value in [("synthetic", "5.8"), ("pre", "245.4"), ("lut", "31.5"), ("other_patients", "2.7")]
    ]
    tables = {
        "cohort": [
            {"case": "P1", "status": "used", "patient": "phantom:P1", "role": "test"},
            {"case": "P2", "status": "used", "patient": "phantom:P2", "role": "validation"},
            {"case": "P3", "status": "skipped", "patient": "", "role": "skipped"},
        ],
        "same_stability": [{"variation": "without ssim", "epoch": "4"}, {"variation": "scaling max", "epoch": "2"}],
        "froc": [
            froc_row("pre", "test_pre", 0.5, "0.25"),
            froc_row("pre", "test_pre", 1.0, "0.5"),
            froc_row("pre_synthetic", "test_post1", 1.0, "0.75"),
        ],
        "segmentation_gains": [
            {"mix": "pre_synthetic", "baseline": "pre", "kind": "baseline"},
            {"mix": "pre_synthetic", "baseline": "pre_lut", "kind": "rival"},
        ],
        "segmentation_primary": [
            primary_row("pre_synthetic", "pre", "post1", "gain", "", "0.3", "0.0002", "1"),
            primary_row("pre_synthetic", "pre", "pre", "no_loss", "0.05", "-0.05", "1", "0"),
            primary_row("post_synthetic", "post", "post1", "no_loss", "0.05", "-0.05", "", ""),
        ],
        "trainings": [
            {
                "mix": "pre",
                "fold": "0",
                "epochs": "25",
                "train_loss": "-0.5",
                "validation_dice": "0.62",
                "restarts": "0",
            },
            {
                "mix": "pre_synthetic",
                "fold": "1",
                "epochs": "25",
                "train_loss": "-0.1",
                "validation_dice": "0.1",
                "restarts": "1",
            },
        ],
        "synthesis_distances": distances,
        "synthesis_gains": gains,
        "synthesis_statistics": statistics,
    }
    metrics = {
        "same": {
            "epoch": 4,
            "checkpoints": 3,
            "patients": 5,
            "slices": 20,
            "selection_frequency": 0.5,
            "rank_correlation": {"lesion_mae": 0.25},
            "provenance": [{}],
        },
        "segmentation": {
            "pre": {"test_pre": cell(0.5, 0.4, 0.6), "test_post1": cell(0.3, None, None)},
            "pre_synthetic": {"test_pre": cell(0.45, 0.35, 0.5), "test_post1": cell(0.6, 0.5, 0.7)},
            "gain": {
                "pre_synthetic": {
                    "test_pre": cell(-0.05, -0.1, -0.01),
                    "test_post1": cell(0.3, 0.2, 0.4),
                }
            },
            "rivals": {"pre_synthetic": {"pre_lut": {"test_post1": cell(0.1, -0.05, 0.2)}}},
            "primary": {},
            "threshold_level": 0.575,
            "provenance": [{}],
        },
        "detection": {
            "pre": {
                "test": {
                    "synthetic": 0.5,
                    "real": 1.0,
                    "synthetic_by_chance": 0.02,
                    "real_by_chance": 0.04,
                    "difference": -0.5,
                    "ci_low": -0.8,
                    "ci_high": -0.0,
                    "n": 6,
                }
            },
            "provenance": [{}],
        },
        "same_dice": {"note": "the evaluator was not trained"},
        "synthesis": {},
    }  # fmt: skip
    return Results(tables, metrics)
