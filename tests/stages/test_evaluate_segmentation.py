"""The list of volumes that the evaluation of the segmentation uses."""

from pathlib import Path

from repository import ROOT

from pre2post.cohort.case import Case
from pre2post.evaluation.segmentation import list_tasks
from pre2post.image.intensity import IntensityScale
from pre2post.pipeline.params import load_params
from pre2post.splits.splits import Splits

SEGMENTATION = load_params(ROOT / "params.yaml").segmentation


def test_without_an_external_split_only_test_patients_are_listed():
    cases = [Case(name, "A", ("pre", "post1"), True, IntensityScale(0, 1), Path(name)) for name in "abcd"]
    tasks = list_tasks(SEGMENTATION, Splits([], ["a"], ["b", "c"], [], [["a"]]), cases)
    assert [(domain, case.id) for domain, case, _ in tasks] == [
        (f"test_{phase}", name) for name in "bc" for phase in ("pre", "post1", "synthetic")
    ]
