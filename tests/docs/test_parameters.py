"""docs/reference/parameters.md against params.yaml, the typed sections and dvc.yaml."""

import yaml
from repository import ROOT
from tools.write_parameters_page import PAGE, kind, page, read_comments, stages_of

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def test_the_page_is_what_the_tool_writes():
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page(), "run `make docs`"


def test_the_page_has_a_row_for_every_parameter():
    text = page()
    for section, values in PARAMS.items():
        for name in [section] if not isinstance(values, dict) else [f"{section}.{key}" for key in values]:
            assert f"\n| `{name}` | " in text, name


def test_every_parameter_has_a_meaning_and_a_stage():
    for line in page().splitlines():
        if line.startswith("| `") and not line.startswith(("| `same.weights", "| `segmentation.mixes")):
            name, _, default, meaning, stages = line.strip("| ").split(" | ")
            assert default and meaning and stages.startswith("`"), name


def test_comments_are_found_behind_above_and_below_a_key():
    text = (
        "# All.\n\na: 1  # one\nb:\n  # two\n  # lines\n  c: 2\n  d: 3    # begins\n          # and goes on\n  e: x#y\n"
    )
    assert read_comments(text) == {"a": "one", "b": "", "b.c": "two lines", "b.d": "begins and goes on", "b.e": ""}


def test_a_stage_reads_a_parameter_by_its_name_its_section_or_a_part():
    readers = {"a": ["one"], "a.b": ["two"], "a.bc": ["three"], "d.e.f": ["four"]}
    assert stages_of("a.b", readers) == ["one", "two"]
    assert stages_of("d.e", readers) == ["four"]
    assert stages_of("d", {"da": ["five"]}) == []


def test_types_are_words():
    assert kind({"type": "integer", "minimum": 0, "exclusiveMaximum": 2147483648}, {}) == (
        "integer at least 0, below 2147483648"
    )
    assert (
        kind({"anyOf": [{"const": "auto", "type": "string"}, {"type": "boolean"}]}, {}) == "`auto`, or `true`, `false`"
    )
    whole = {"$defs": {"X": {"enum": ["a", "b"], "type": "string"}}}
    assert kind({"type": "array", "items": {"$ref": "#/$defs/X"}}, whole) == "list of `a`, `b`"
    assert kind({"type": "object", "additionalProperties": {"type": "number", "exclusiveMinimum": 0.5}}, {}) == (
        "mapping of names to number above 0.5"
    )
