"""Sections of params.yaml: only what is declared is read, and every invalid key is named with its reason."""

import pytest

from pre2post.core.section import (
    Count,
    Digest,
    Fraction,
    Name,
    Percentile,
    Phase,
    Positive,
    Section,
    StageParams,
    check_hashed,
)


class Own(Section):
    count: Count = 1
    fraction: Fraction = 0.5
    percentile: Percentile = 50.0
    positive: Positive = 1.0
    name: Name = "a"
    phase: Phase = "pre"
    digest: Digest = ""
    net_weights: str = ""
    net_sha256: str = ""


class Params(StageParams):
    own: Own


@pytest.fixture
def read(tmp_path):
    """read(text) -> the section with this YAML content, next to a section that is not declared."""

    def from_text(text: str) -> Own:
        (tmp_path / "params.yaml").write_text(f"other: {{anything: 1}}\nown: {text}\n")
        return Params.read(tmp_path / "params.yaml").own

    return from_text


def test_declared_sections_are_read_and_others_ignored(read):
    found = read("{count: 3, fraction: 1, phase: synthetic_post2, digest: 0123abcd}")
    assert (found.count, found.fraction, found.phase, found.digest) == (3, 1.0, "synthetic_post2", "0123abcd")


@pytest.mark.parametrize(
    "text, words",
    [
        ("{unknown: 1}", "own.unknown is not a known parameter"),
        ("{count: 0}", "own.count: found 0 (int), allowed: greater than or equal to 1"),
        ("{count: true}", "own.count: found True (bool), allowed: a valid integer"),
        ("{fraction: 1.01}", "own.fraction: found 1.01 (float), allowed: less than or equal to 1"),
        ("{percentile: 101}", "own.percentile: found 101 (int), allowed: less than or equal to 100"),
        ("{positive: 0}", "own.positive: found 0 (int), allowed: greater than 0"),
        ("{name: Big}", "own.name: found 'Big' (str)"),
        ("{digest: 0123abc}", "own.digest: found '0123abc' (str)"),
        ("{phase: post10}", "own.phase: unknown phase 'post10'; allowed: pre, post1 to post9"),
        ("{phase: synthetic_pre}", "unknown phase 'synthetic_pre'"),
    ],
)
def test_invalid_values_are_named_with_the_allowed_ones(read, refused, tmp_path, text, words):
    refused(lambda: read(text), words, str(tmp_path / "params.yaml"), "what to do")


def test_a_missing_section_is_named(tmp_path, refused):
    (tmp_path / "params.yaml").write_text("other: 1\n")
    refused(lambda: Params.read(tmp_path / "params.yaml"), "own is missing")


def test_sections_cannot_be_changed(read):
    with pytest.raises(ValueError, match="frozen"):
        read("{}").count = 2


@pytest.mark.parametrize(
    "weights, sha256, right", [("", "", True), ("a.pth", "0123abcd", True), ("a.pth", "", False), ("", "0123", True)]
)
def test_weights_need_their_hash(weights, sha256, right):
    section = Own(net_weights=weights, net_sha256=sha256)
    if right:
        check_hashed(section, "net")
    else:
        with pytest.raises(ValueError, match="net_weights needs net_sha256"):
            check_hashed(section, "net")
