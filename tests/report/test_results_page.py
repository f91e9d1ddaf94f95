"""docs/results.md: its numbers and sentences follow from the tables, and from nothing else."""

import json
import re
import subprocess
from dataclasses import replace

import pytest
from repository import ROOT
from tools.update_readme import with_block

from pre2post.report.markdown import listed, number, table, with_interval
from pre2post.report.results import Results
from pre2post.report.results_page import readme_block, results_page


def test_tables_show_the_numbers_of_the_tables(results):
    page = results_page(results)
    assert "**Test patients, n = 7**" in page and "**External patients, n = 3**" in page
    assert (
        "| MAE (lesion) | 0.3000 [0.2500, 0.3500] | 0.4000 [0.3800, 0.4400] | 0.3200 [0.2900, 0.3500] | - | "
        "0.1200 [0.1000, 0.1400] | - |" in page
    )
    assert "| MAE (lesion) | 0.5000 | 0.6000 | - | - | - | - |" in page
    assert "| lesion AUC | 0.970 [0.950, 0.980] | - | - | - | - | 0.990 [0.980, 1.000] |" in page
    assert "| % of patients with a false piece | 50 [25, 75] |" in page
    assert "| test | MAE (lesion) | +0.1000 [+0.0500, +0.1500] | +0.0200 [-0.0100, +0.0500] | - |" in page
    assert "| pre | 0.500 [0.40, 0.60] | 0.300 |" in page
    assert "| pre + synthetic against pre | -0.050 [-0.10, -0.01] | +0.300 [+0.20, +0.40] |" in page
    assert "| test, random-network features | 168 | 5.8 | 245.4 | 31.5 | - | 2.7 | - |" in page
    assert "| pre | test | 6 | 50 % (2 %) | 100 % (4 %) | -50 [-80, +0] |" in page
    assert (
        "| pre | 0.50 [0.10, 0.90] (0.03) | - |" in page
        and "| pre + synthetic | - | 0.75 [0.10, 0.90] (0.03) |" in page
    )


def test_sentences_follow_from_the_intervals(results):
    page = results_page(results)
    assert "- Against pre-contrast: better in MAE (lesion); worse in nothing." in page
    assert "- Against pre-contrast: better in nothing; worse in MAE (lesion)." in page
    assert "- Against look-up table: better in nothing; worse in nothing." in page
    assert "the generator covers 10 % of the way from the look-up table to the oracle" in page
    assert "pre + synthetic against pre improves in (test, post1); loses in (test, pre)." in page
    assert "SAMe selects epoch 4 among 3 checkpoints" in page and "differs scaling max (epoch 2)" in page
    assert "the evaluator was not trained" in page
    gains = results.metrics["segmentation"]["gain"]["pre_synthetic"]
    gains["test_pre"]["ci_high"] = 0.1
    assert "is not clearly different in (test, pre)" in results_page(results)


def test_primary_comparisons_have_a_verdict_and_others_no_p(results):
    page = results_page(results)
    for row in (
        "pre + synthetic against pre on post1 | gains | +0.300 [-0.100, +0.400] | < 0.001 | yes |",
        "pre + synthetic against pre on pre | loses less than 0.05 | -0.050 [-0.100, +0.400] | 1.000 | not shown |",
        "post + synthetic against post on post1 | loses less than 0.05 | -0.050 [-0.100, +0.400] | - | not tested |",
    ):
        assert f"| test | {row}" in page and f"| test | {row}" in readme_block(results)
    assert page.count("Holm-corrected p") == 1
    none = replace(results, tables=results.tables | {"segmentation_primary": []})
    assert "the mixes of the primary comparisons were not trained" in results_page(none)


def test_rivals_show_what_remains_for_the_generator(results):
    assert "| pre + synthetic against pre + lut | - | +0.100 [-0.05, +0.20] |" in results_page(results)
    del results.metrics["segmentation"]["rivals"]
    assert "add `pre_lut` to `segmentation.train`" in results_page(results)


def test_every_training_has_a_row(results):
    page = results_page(results)
    assert (
        "| pre | 0 | 25 | -0.500 | 0.620 | 0 |" in page and "| pre + synthetic | 1 | 25 | -0.100 | 0.100 | 1 |" in page
    )


def test_the_threshold_is_explained_where_there_is_one(results):
    assert "normalised intensity 0.575" in results_page(results)
    results.metrics["segmentation"]["threshold_level"] = None
    assert "threshold" not in results_page(results)


def test_readme_shows_both_splits_in_one_cell(results):
    block = readme_block(results)
    assert "7 test and 3 external" in block
    assert "| MAE (lesion) | 0.3000 / 0.5000 | 0.4000 / 0.6000 | 0.3200 / - | - | 0.1200 / - | - |" in block


def test_readme_names_measures_that_exist():
    from pre2post.report.image_quality import MEASURES, SHORT

    assert set(SHORT) < {measure.name for measure in MEASURES}


def test_phantom_and_patients_are_told_apart(results):
    assert "On the embedded phantom" in results_page(results)
    patients = [row | {"patient": "duke:001"} for row in results.tables["cohort"]]
    assert "Not for diagnosis" in results_page(replace(results, tables=results.tables | {"cohort": patients}))


def test_every_picture_of_the_page_is_one_that_the_report_draws(results):
    import yaml

    drawn = {
        name for entry in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["report"]["plots"] for name in entry
    }
    shown = set(re.findall(r"\]\(\.\./(plots/\w+\.png)\)", results_page(results)))
    assert shown and shown <= drawn


def test_every_row_of_a_table_has_the_columns_of_its_header(results):
    for block in results_page(results).split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1, block


@pytest.fixture(scope="module")
def committed():
    """A reader of files as the last commit has them: `make repro` may have changed those in the folder."""

    def read(name: str) -> str:
        done = subprocess.run(["git", "show", f"HEAD:{name}"], cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"there is no {name} in the last commit")
        return done.stdout

    return read


@pytest.fixture(scope="module")
def committed_results(committed) -> Results:
    import csv

    import write_results

    tables = {name: list(csv.DictReader(committed(f"plots/{name}.csv").splitlines())) for name in write_results.TABLES}
    return Results(tables, {name: json.loads(committed(f"metrics/{name}.json")) for name in write_results.FILES})


def test_the_committed_page_is_that_of_the_committed_tables(committed, committed_results):
    assert committed("docs/results.md") == results_page(committed_results)


def test_readme_shows_the_committed_results(committed, committed_results):
    text = committed("README.md")
    assert with_block(text, readme_block(committed_results)) == text, "run `make docs`"


def test_markdown():
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert (number(None, 2), number("", 2), number("0.125", 2), number(1, 1, sign=True)) == ("-", "-", "0.12", "+1.0")
    assert with_interval(1, 0.5, 2, 1) == "1.0 [0.5, 2.0]" and with_interval(1, None, 2, 1) == "1.0"
    assert (listed([]), listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])) == (
        "",
        "a",
        "a and b",
        "a, b and c",
    )


def test_a_text_without_markers_is_refused():
    with pytest.raises(ValueError, match="there is no <!-- results -->"):
        with_block("text", "block")
