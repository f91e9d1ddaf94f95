"""The committed params.yaml, and invalid parameters."""

from pathlib import Path

import pytest
import yaml
from params_file import change_params
from repository import ROOT

from pre2post.core.errors import InputError
from pre2post.pipeline.params import Params, load_params

PARAMS = ROOT / "params.yaml"


@pytest.fixture
def changed(tmp_path):
    """changed({"gan.epochs": 2}) -> a copy of params.yaml with dotted names set to values."""

    def copy(changes: dict) -> Path:
        change_params(tmp_path / "params.yaml", changes, source=PARAMS)
        return tmp_path / "params.yaml"

    return copy


def test_the_committed_file_is_accepted_and_complete():
    params = load_params(PARAMS)
    assert params.gan.epochs >= 1
    assert list(yaml.safe_load(PARAMS.read_text())) == list(Params.model_fields)


def test_every_value_has_a_comment():
    """Each value, or the key of its list, has a comment with unit and reason."""
    bare = [
        line
        for line in PARAMS.read_text().splitlines()
        if ": " in line and "#" not in line and not line.startswith("    ")
    ]
    assert bare == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gan.epoch": 3}, r"gan\.epoch is not a known parameter"),
        ({"gan.epochs": "3"}, r"gan\.epochs: found '3' \(str\), allowed: a valid integer"),
        ({"slices.size": 40}, r"slices\.size 40 does not fit gan\.downs 4: .* multiple of 16, and at least 32"),
        ({"gan.generator": "local", "slices.size": 48}, "multiple of 32, and at least 64, for a local generator"),
        (
            {"slices.phases": ["post1", "post2"]},
            r"names 2 phases, so gan\.channels must be 2, a channel each; found 1",
        ),
        ({"slices.phases": ["post1", "post1"]}, "phases names one twice"),
        ({"slices.phases": ["pre"]}, r"slices\.phases\.0: found 'pre'"),
        ({"segmentation.test_phases": ["synthetic_post2"]}, "segmentation uses synthetic_post2, which is not made"),
        ({"gan.epochs": 2.5}, r"gan\.epochs: found 2\.5 \(float\), allowed: a valid integer"),
        ({"gan.epochs": 0}, r"gan\.epochs: found 0 \(int\), allowed: greater than or equal to 1"),
        ({"gan.flip": "maybe"}, r"gan\.flip: found 'maybe' \(str\), allowed: a valid boolean"),
        ({"split.test_fraction": 1.0}, r"split\.test_fraction: found 1\.0 \(float\), allowed: less than 1"),
        ({"ingest.on_error": "stop"}, r"ingest\.on_error: found 'stop' \(str\), allowed: 'raise' or 'skip'"),
        ({"ingest.low_percentile": 100.0}, r"low_percentile must be below high_percentile"),
        ({"segmentation.train": ["pre", "nonsense"]}, r"segmentation: train names 'nonsense'"),
        (
            {"segmentation.mixes.pre": {"t2": 1.0}},
            r"segmentation\.mixes\.pre\.t2: unknown phase 't2'; allowed",
        ),
        ({"segmentation.mixes.pre": {}}, r"segmentation\.mixes\.pre: found \{\}"),
        ({"segmentation.mixes.pre": {"pre": 0}}, r"segmentation\.mixes\.pre\.pre: found 0 .*greater than 0"),
        ({"segmentation.mixes.pre": {"pre": 1.5}}, r"segmentation\.mixes\.pre\.pre: found 1\.5 "),
        ({"segmentation.mixes.gain": {"pre": 1.0}}, r"a mix cannot be called 'gain'"),
        ({"segmentation.folds": [0, 7]}, r"segmentation\.folds has 7, but split\.folds makes only 0 to 4"),
    ],
)
def test_an_invalid_value_is_named_in_full(changed, change, message):
    with pytest.raises(InputError, match=message):
        load_params(changed(change))


def test_all_invalid_values_are_named_at_once(changed):
    with pytest.raises(InputError, match=r"gan\.width.*gan\.epochs"):
        load_params(changed({"gan.epochs": 0, "gan.width": 0}))


def test_an_integer_is_accepted_for_a_float(changed):
    assert load_params(changed({"gan.lambda_l1": 5})).gan.lambda_l1 == 5.0


@pytest.mark.parametrize("text", ["seed: [", "", "just words"])
def test_a_file_without_parameters_is_refused(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(InputError, match=r"params\.yaml"):
        load_params(tmp_path / "params.yaml")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"params\.yaml: the file is missing"):
        load_params(tmp_path / "params.yaml")
