"""Model cards: they are read as written, and mismatches are refused in one line."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from repository import ROOT

from pre2post.pipeline.model_card import (
    INTENDED_USE,
    LICENCE,
    ModelCard,
    Value,
    card_file,
    check_card,
    read_card,
    write_card,
)
from pre2post.pipeline.params import load_params

PARAMS = load_params(ROOT / "params.yaml")
METRICS = {"mae": {"value": 0.1, "ci_low": 0.05, "ci_high": 0.2, "n": 13}}


@pytest.fixture
def weights(tmp_path) -> Path:
    file = tmp_path / "generator.safetensors"
    file.write_bytes(b"weights")
    write_card(
        file,
        "a generator",
        n_patients=2,
        data="x.dir",
        metrics=METRICS,
        params={"slices": {"size": PARAMS.slices.size}, "ingest": {"headroom": PARAMS.ingest.headroom}},
    )
    return file


def test_a_card_holds_hash_patients_metrics_and_intended_use(weights):
    content = json.loads(card_file(weights).read_text())
    assert content["sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert content["n_patients"] == 2 and content["metrics"] == METRICS
    assert (content["licence"], content["intended_use"]) == (LICENCE, INTENDED_USE)
    assert card_file(weights).name == "generator.card.json"


@given(
    n_patients=st.none() | st.integers(0, 10**6),
    source=st.text(),
    value=st.floats(allow_nan=False) | st.integers(0, 9),
    params=st.dictionaries(st.text(), st.integers() | st.booleans() | st.text() | st.lists(st.integers())),
)
def test_a_card_is_read_as_written(tmp_path_factory, n_patients, source, value, params):
    file = tmp_path_factory.mktemp("card") / "w.pth"
    file.write_bytes(b"1")
    value = min(max(value, -1e300), 1e300)  # JSON cannot express infinity
    write_card(file, "m", n_patients=n_patients, source=source, params=params, metrics={"x": {"value": value, "n": 1}})
    card = read_card(file)
    assert (card.n_patients, card.source, card.params) == (n_patients, source, params)
    assert card.metrics == {"x": Value(value=value, n=1)}
    assert card == ModelCard.model_validate(json.loads(card_file(file).read_text()))


def test_weights_without_a_card_are_used_with_a_warning(weights, capsys):
    check_card(weights, PARAMS)
    assert capsys.readouterr().err == ""
    card_file(weights).unlink()
    assert read_card(weights) is None
    check_card(weights, PARAMS)
    assert "has no card (generator.card.json)" in capsys.readouterr().err


@pytest.mark.parametrize("damage", [b"Weights", b"weight", b"", b"weights\0"])
def test_weights_that_differ_from_their_card_are_refused(weights, refused, damage):
    weights.write_bytes(damage)
    refused(
        lambda: check_card(weights, PARAMS),
        str(weights),
        hashlib.sha256(damage).hexdigest(),
        hashlib.sha256(b"weights").hexdigest(),
        "pull weights and card again",
    )


@pytest.mark.parametrize(("section", "key", "now"), [("slices", "size", 256), ("ingest", "headroom", 2.0)])
def test_another_intensity_scale_or_size_than_in_training_is_refused(weights, refused, section, key, now):
    params = PARAMS.model_copy(update={section: getattr(PARAMS, section).model_copy(update={key: now})})
    refused(
        lambda: check_card(weights, params),
        f"{section}.{key} {now} in params.yaml",
        "generator.card.json says",
        f"set {section}.{key}",
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sha256": "abc"}, "sha256"),
        ({"n_patients": "everybody"}, "n_patients"),
        ({"metrics": {"mae": 1}}, "metrics.mae"),
        ({"new": 1}, "new"),
        ({"model": 3}, "model"),
    ],
)
def test_a_damaged_card_is_refused(weights, refused, change, words):
    file = card_file(weights)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    refused(lambda: read_card(weights), str(file), "not a model card", words)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"text"'])
def test_a_file_that_is_not_a_card_is_refused(weights, refused, content):
    card_file(weights).write_text(content)
    refused(lambda: read_card(weights), str(card_file(weights)))
