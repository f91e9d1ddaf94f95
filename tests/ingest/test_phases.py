"""The roles of series: spellings of names, copies, known errors and contradictions."""

from dataclasses import replace
from pathlib import Path

import pytest

from pre2post.dicom.header import SliceHeader
from pre2post.dicom.series import Series
from pre2post.ingest.phases import drop_unsuppressed, name_phases, why_not_dynamic


def series(description, number, acquired, trigger=None, stored=None):
    header = SliceHeader(
        Path(f"study/{number}/1.dcm"),
        "P1",
        "1",
        f"1.{number}",
        "1.1",
        (4, 4),
        (1.0, 1.0),
        (1, 0, 0, 0, 1, 0),
        (0, 0, 0),
        description,
        number,
        acquired,
        stored,
        trigger,
        "",
        None,
    )
    return Series("P1", (header,), 1.0)


def named(*given, same=lambda one, other: False):
    """Return series numbers by role, and the lines on copies; the series are passed in reverse order."""
    phases, copies = name_phases("P1", given[::-1], same)
    return {role: one.head.number for role, one in phases.items()}, copies


@pytest.mark.parametrize(
    "descriptions",
    [
        ("ax dyn pre", "ax dyn 1st pass", "ax dyn 2nd pass"),
        ("ax dyn pre", "ax dyn 1st pas", "ax dyn 2nd pass"),
        ("ax 3d dyn", "Ph1/ax 3d dyn (MP)", "Ph2/ax 3d dyn (MP)"),
        ("Ph1/ax 3d dyn", "Ph2/ax 3d dyn", "Ph3/ax 3d dyn"),
        ("ax dynamic",) * 3,
        ("Ax Vibrant MultiPhase",) * 3,
        ("t1_fl3d_tra_dynVIEWS_spair_ax",) * 3,
        (
            "t1_fl3d_tra_dynVIEWS_spair_pre",
            "t1_fl3d_tra_dynVIEWS_spair_1st pass",
            "t1_fl3d_tra_dynVIEWS_spair_2nd_pass",
        ),
        ("ax dyn pre",) * 3,
        ("ax dyn", "ax dyn 1st pass", "ax dyn 2nd pass"),
    ],
)
def test_known_spellings(descriptions):
    assert all(why_not_dynamic(series(description, 1, 0.0).head) is None for description in descriptions)
    given = [series(description, 5 + i, 100.0 * i) for i, description in enumerate(descriptions)]
    assert named(*given) == ({"pre": 5, "post1": 6, "post2": 7}, [])


@pytest.mark.parametrize(
    "description, reason",
    [
        ("ax t1", "not a dynamic"),
        ("AX T2 FS", "not a dynamic"),
        ("ax dyn non fat sat", "not fat-suppressed"),
        ("ax dyn nonfs", "not fat-suppressed"),
        ("SUB ax dyn 1st pass", "derived"),
        ("ax dyn MIP", "derived"),
        ("", "not a dynamic"),
    ],
)
def test_other_series_are_skipped(description, reason):
    assert reason in why_not_dynamic(series(description, 1, 0.0).head)


def test_phases_are_ordered_by_time_not_by_number():
    assert named(series("ax dynamic", 9, 10.0), series("ax dynamic", 4, 20.0))[0] == {"pre": 9, "post1": 4}


def test_ties_are_broken_by_trigger_time_content_time_and_number():
    name = "ax dynamic"
    assert named(series(name, 9, 10.0, 100.0), series(name, 4, 10.0, 900.0))[0] == {"pre": 9, "post1": 4}
    assert named(series(name, 9, None, stored=5.0), series(name, 4, None, stored=7.0))[0] == {"pre": 9, "post1": 4}
    assert named(series(name, 4, 10.0), series(name, 9, 10.0))[0] == {"pre": 4, "post1": 9}


def test_a_second_export_is_dropped():
    given = [
        series("ax dyn pre", 5, 0.0),
        series("ax dyn 1st pass", 6, 9.0),
        series("ax dyn 1st pass", 60, 9.0),
        series("ax dyn 2nd pass", 7, 20.0),
    ]
    phases, copies = named(*given, same=lambda one, other: {one.head.number, other.head.number} == {6, 60})
    assert phases == {"pre": 5, "post1": 6, "post2": 7}
    assert copies == ["ax dyn 1st pass (60): a copy of series 6"]


def test_pixels_are_compared_only_for_possible_copies():
    def never(one, other):
        raise AssertionError("compared")

    named(series("ax dyn pre", 5, 0.0), series("ax dyn 1st pass", 6, 9.0), same=never)


@pytest.mark.parametrize(
    "given, words",
    [
        ((series("ax dyn pre", 5, 0.0),), "post1 is missing"),
        ((), "pre is missing"),
        ((series("ax dyn 1st pass", 6, 0.0), series("ax dyn 2nd pass", 7, 9.0)), "pre is missing"),
        ((series("ax dyn pre", 5, 0.0), series("ax dyn 2nd pass", 7, 9.0)), "post1 is missing"),
        ((series("ax 3d dyn", 5, 0.0), series("Ph2/ax 3d dyn", 7, 9.0)), "post1 is missing"),
        ((series("ax dyn pre", 5, 9.0), series("ax dyn 1st pass", 6, 0.0)), "pre is missing"),
        (
            (series("ax dyn pre", 5, 0.0), series("ax dyn pre", 6, 9.0), series("ax dyn 1st pass", 7, 20.0)),
            "contradict",
        ),
        (
            (series("ax dyn pre", 5, 0.0), series("ax dyn 1st pass", 6, 5.0), series("ax dyn 1st pass", 7, 20.0)),
            "contradict",
        ),
    ],
)
def test_gaps_and_contradictions_are_refused(given, words, refused):
    refused(lambda: named(*given), "case P1", words, "found", "expected", "what to do")


def tagged(number, **tags):
    one = series("ax dynamic", number, 10.0 * number)
    return replace(one, slices=(replace(one.head, **tags),))


@pytest.mark.parametrize(
    "sign", [{"scan_options": ("FAST_GEMS", "FS")}, {"sequence_name": "*fl3d1_spair"}, {"protocol": "breast fat_sat"}]
)
def test_series_without_fat_suppression_are_dropped_if_others_have_it(sign):
    plain, *suppressed = tagged(1, scan_options=("FAST_GEMS",)), tagged(2, **sign), tagged(3, **sign)
    kept, dropped = drop_unsuppressed([plain, *suppressed])
    assert kept == suppressed
    assert dropped == ["ax dynamic (1): not fat-suppressed, by ScanOptions and SequenceName"]


def test_all_series_are_kept_if_none_indicates_fat_suppression():
    given = [tagged(1), tagged(2, scan_options=("PFP",))]
    assert drop_unsuppressed(given) == (given, [])


@pytest.mark.parametrize(
    "tags, reason",
    [
        ({"scanning_sequence": ("SE",)}, "a spin echo sequence"),
        ({"image_type": ("DERIVED", "PRIMARY", "MIP")}, "derived"),
        ({"scanning_sequence": ("SE", "GR")}, None),
    ],
)
def test_tags_are_checked_in_addition_to_names(tags, reason):
    found = why_not_dynamic(tagged(1, **tags).head)
    assert found is None if reason is None else reason in found


@pytest.mark.parametrize("key", ["1.8", "#8"])
def test_a_table_overrides_names(key):
    given = [series("ax dyn pre", 5, 0.0), series("ax dyn pre", 8, 60.0)]
    phases, _ = name_phases("P1", given, lambda one, other: False, {key: "post1"})
    assert [(role, one.head.number) for role, one in phases.items()] == [("pre", 5), ("post1", 8)]
