"""params.yaml as it is committed, and what is refused."""

import pytest
import yaml
from repository import ROOT

from pre2post.core.errors import InputError
from pre2post.pipeline.params import Params, load_params

PARAMS = ROOT / "params.yaml"


def changed(tmp_path, **changes):
    """A copy of params.yaml with dotted names set to values."""
    content = yaml.safe_load(PARAMS.read_text())
    for name, value in changes.items():
        *sections, key = name.split("__")
        target = content
        for section in sections:
            target = target[section]
        target[key] = value
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_committed_file_is_accepted_and_complete():
    params = load_params(PARAMS)
    assert params.gan.epochs >= 1
    assert list(yaml.safe_load(PARAMS.read_text())) == list(Params.model_fields)


def test_every_value_has_a_comment():
    """Unit and reason stand behind each value, or behind the key that opens its list."""
    bare = [
        line
        for line in PARAMS.read_text().splitlines()
        if ": " in line and "#" not in line and not line.startswith("    ")
    ]
    assert bare == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gan__epoch": 3}, r"gan\.epoch is not a known parameter"),
        ({"gan__epochs": "3"}, r"gan\.epochs: found '3' \(str\), allowed: a valid integer"),
        ({"slices__size": 40}, r"slices\.size 40 does not fit gan\.downs 4: .* multiple of 16, and at least 32"),
        ({"gan__generator": "local", "slices__size": 48}, "multiple of 32, and at least 64, for a local generator"),
        (
            {"slices__phases": ["post1", "post2"]},
            r"names 2 phases, so gan\.channels must be 2, a channel each; found 1",
        ),
        ({"slices__phases": ["post1", "post1"]}, "phases names one twice"),
        ({"slices__phases": ["pre"]}, r"slices\.phases\.0: found 'pre'"),
        ({"segmentation__test_phases": ["synthetic_post2"]}, "segmentation uses synthetic_post2, which is not made"),
        ({"gan__epochs": 2.5}, r"gan\.epochs: found 2\.5 \(float\), allowed: a valid integer"),
        ({"gan__epochs": 0}, r"gan\.epochs: found 0 \(int\), allowed: greater than or equal to 1"),
        ({"gan__flip": "yes"}, r"gan\.flip: found 'yes' \(str\), allowed: a valid boolean"),
        ({"split__test_share": 1.0}, r"split\.test_fraction: found 1\.0 \(float\), allowed: less than 1"),
        ({"ingest__bad_cases": "skip"}, r"ingest\.on_error: found 'skip' \(str\), allowed: 'stop' or 'leave_out'"),
        ({"ingest__low_percentile": 100.0}, r"low_percentile must be below high_percentile"),
        ({"segmentation__train": ["pre", "nonsense"]}, r"segmentation: train names 'nonsense'"),
        (
            {"segmentation__mixes__pre": {"t2": 1.0}},
            r"segmentation\.settings\.pre\.t2: there is no phase 't2'; allowed",
        ),
        ({"segmentation__mixes__pre": {}}, r"segmentation\.settings\.pre: found \{\}"),
        ({"segmentation__mixes__pre": {"pre": 0}}, r"segmentation\.settings\.pre\.pre: found 0 .*greater than 0"),
        ({"segmentation__mixes__pre": {"pre": 1.5}}, r"segmentation\.settings\.pre\.pre: found 1\.5 "),
        ({"segmentation__mixes__gain": {"pre": 1.0}}, r"a setting cannot be called 'gain'"),
        ({"segmentation__folds": [0, 7]}, r"segmentation\.folds has 7, but split\.folds makes only 0 to 4"),
    ],
)
def test_a_refused_value_is_named_in_full(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        load_params(changed(tmp_path, **change))


def test_all_refused_values_are_named_at_once(tmp_path):
    with pytest.raises(InputError, match=r"gan\.width.*gan\.epochs"):
        load_params(changed(tmp_path, gan__epochs=0, gan__width=0))


def test_a_whole_number_is_a_number(tmp_path):
    assert load_params(changed(tmp_path, gan__lambda_l1=5)).gan.lambda_l1 == 5.0


@pytest.mark.parametrize("text", ["seed: [", "", "just words"])
def test_something_else_than_parameters_is_refused(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(InputError, match=r"params\.yaml"):
        load_params(tmp_path / "params.yaml")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"params\.yaml: the file is missing"):
        load_params(tmp_path / "params.yaml")
