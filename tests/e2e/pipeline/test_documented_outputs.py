"""docs/reference/outputs.md against the files that the tiny study writes, also those that Git does not hold."""

import pytest
from outputs_page import invented, names_in, page, section_of, unexplained

PATTERNS = (
    "metrics/*.json",
    "plots/**/*.csv",
    "splits.json",
    "artifacts/params_checked.json",
    "artifacts/volumes/*/case.json",
    "artifacts/slices/index_*.csv",
    "artifacts/generator/*.card.json",
    "artifacts/nnunet/mixes/*.json",
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_page_explains_every_name_in_a_file_and_no_other(reproduced, pattern):
    explained, files = page(), sorted(reproduced.path.glob(pattern))
    assert files
    for file in files:
        names, section = names_in(file), section_of(str(file.relative_to(reproduced.path)), explained)
        assert unexplained(names, section) == [], file
        assert invented(names, section) == [], file


def test_the_cohort_table_of_the_volumes_lacks_the_role_alone(reproduced):
    without = names_in(reproduced.path / "artifacts/volumes/cohort.csv")
    assert [*without, "role"] == names_in(reproduced.path / "plots/cohort.csv")


def test_the_card_of_a_segmenter_has_the_keys_of_a_card(reproduced):
    for card in reproduced.path.glob("artifacts/segmenters/**/*.card.json"):
        assert unexplained(names_in(card), page()["artifacts/generator/generator.card.json"]) == []
