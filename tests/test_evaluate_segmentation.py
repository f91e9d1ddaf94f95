"""Which volumes the evaluation of the segmentation takes."""

from pathlib import Path

from cohort.case import Case
from cohort.splits import Splits
from evaluate_segmentation import list_tasks
from imaging.scale import IntensityScale
from pipeline.params import load_params

STUDY = load_params(Path(__file__).parents[1] / "params.yaml").segmentation


def test_without_an_external_cohort_the_test_patients_are_all():
    cases = [Case(name, "A", ("pre", "post1"), True, IntensityScale(0, 1), Path(name)) for name in "abcd"]
    tasks = list_tasks(STUDY, Splits([], ["a"], ["b", "c"], [], [["a"]]), cases)
    assert [(domain, case.id) for domain, case, _ in tasks] == [
        (f"test_{phase}", name) for phase in ("pre", "post1", "synthetic") for name in "bc"]
