"""Which volumes the evaluation of the segmentation takes."""

from pathlib import Path

from repository import ROOT

from evaluate_segmentation import list_tasks
from pre2post.cohort.case import Case
from pre2post.image.intensity import IntensityScale
from pre2post.pipeline.params import load_params
from pre2post.splits.splits import Splits

STUDY = load_params(ROOT / "params.yaml").segmentation


def test_without_an_external_cohort_the_test_patients_are_all():
    cases = [Case(name, "A", ("pre", "post1"), True, IntensityScale(0, 1), Path(name)) for name in "abcd"]
    tasks = list_tasks(STUDY, Splits([], ["a"], ["b", "c"], [], [["a"]]), cases)
    assert [(domain, case.id) for domain, case, _ in tasks] == [
        (f"test_{phase}", name) for phase in ("pre", "post1", "synthetic") for name in "bc"
    ]
