"""The fields of the templates for `dvc plots` are columns of their tables."""

import json
import re

import pytest
import yaml
from repository import ROOT

from pre2post.evaluation.synthesis_table import Value, statistics_rows
from pre2post.report.dice_table import dice_table
from pre2post.stats.params import StatisticsParams

PLOTS = {
    key: value
    for entry in yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    for key, value in entry.items()
    if "template" in value
}
GIVEN_BY_DVC = {"rev"}


def columns_of_statistics():
    options = StatisticsParams(confidence_level=0.9, n_resamples=100, min_patients=5, margin_dice=0.05)
    return set(statistics_rows([Value("test", "a", "post", "lesion", "mae", "pre", 1.0)], options, 0)[0])


def columns_of_dice():
    cell = dict.fromkeys(("dice", "ci_low", "ci_high", "n"), 0.5)
    return set(dice_table({"pre": {"test_pre": cell}, "gain": {}}, [])[0])


COLUMNS = {"plots/synthesis_statistics.csv": columns_of_statistics, "plots/dice.csv": columns_of_dice}


def fields_of(template: str) -> set[str]:
    """Return the fields that a template reads, without those that it calculates."""
    text = (ROOT / f".dvc/plots/{template}.json").read_text()
    json.loads(text)
    fields = {*re.findall(r'"field": "(\w+)"', text), *re.findall(r"datum\.(\w+)", text)}
    return fields - set(re.findall(r'"as": "(\w+)"', text)) - GIVEN_BY_DVC


@pytest.mark.parametrize("title", PLOTS)
def test_a_template_reads_columns_of_its_table(title):
    plot = PLOTS[title]
    ((table, column),) = plot["y"].items()
    columns = COLUMNS[table]()
    assert {plot["x"], column} <= columns
    assert fields_of(plot["template"]) <= columns
    assert {"ci_low", "ci_high"} <= fields_of(plot["template"])
