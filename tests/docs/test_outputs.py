"""docs/reference/outputs.md against the committed tables and metrics, and against dvc.yaml."""

import json

import pytest
import yaml
from outputs_page import NAME, PROVENANCE, invented, keys, names_in, page, section_of, sections, unexplained
from repository import ROOT

PAGE = page()
TEXT = (ROOT / "docs/reference/outputs.md").read_text(encoding="utf-8")
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
FILES = sorted(
    str(file.relative_to(ROOT))
    for pattern in ("plots/*.csv", "metrics/*.json", "splits.json")
    for file in ROOT.glob(pattern)
)


@pytest.mark.parametrize("path", FILES)
def test_the_page_explains_every_name_in_a_file_and_no_other(path):
    names, section = names_in(ROOT / path), section_of(path, PAGE)
    assert unexplained(names, section) == []
    assert invented(names, section) == []


@pytest.mark.parametrize("path", sorted(ROOT.glob("metrics/*.json")), ids=lambda path: path.name)
def test_the_page_explains_the_provenance(path):
    (entry,) = json.loads(path.read_text(encoding="utf-8"))[PROVENANCE]
    assert unexplained(keys(entry), PAGE["Provenance"]) == []
    assert invented(keys(entry), PAGE["Provenance"]) == []


def test_every_output_of_every_stage_is_on_the_page():
    known = NAME.findall(TEXT)
    for stage in STAGES.values():
        for kind in ("outs", "metrics", "plots"):
            for entry in stage.get(kind, []):
                path = entry if isinstance(entry, str) else next(iter(entry))
                path = path.replace("${item.", "<").replace("}", ">")
                assert any(name == path or name.startswith(f"{path}/") for name in known), path


def test_every_table_and_figure_on_the_page_is_an_output():
    outs = {
        entry if isinstance(entry, str) else next(iter(entry))
        for stage in STAGES.values()
        for kind in ("outs", "metrics", "plots")
        for entry in stage.get(kind, [])
    }
    for heading in [*PAGE, *PAGE["Figures"]]:
        if heading.startswith(("plots/", "metrics/")) and "<" not in heading:
            assert heading in outs


EXAMPLE = """
### `metrics/<name>.json`

| key | meaning |
| --- | --- |
| `a`, `b.<part>.c` | both |
| `odd` | Only if it is odd |

## Other `words`

| `x` | of no file |
"""


def test_names_are_read_and_compared():
    found = sections(EXAMPLE)
    section = section_of("metrics/one.json", found)
    assert section == {"a": False, "b.<part>.c": False, "odd": True}
    assert unexplained(["a", "b.one.c", "b.c", "odd"], section) == ["b.c"]
    assert invented(["a"], section) == ["b.<part>.c"]
    with pytest.raises(KeyError, match="does not explain"):
        section_of("metrics/one/two.json", found)


def test_keys_are_dotted_and_lists_are_values():
    assert list(keys({"a": {"b": 1, "c": [1, 2]}, "d": {}, "e": None})) == ["a.b", "a.c", "d", "e"]
