"""Progress: every item passes, a log file gets few lines, and quiet shows nothing."""

from pre2post.core.progress import progress


def test_items_pass_and_a_log_gets_one_bar(capsys):
    assert list(progress(range(1000), "count", unit="row")) == list(range(1000))
    shown = capsys.readouterr().err
    assert "count: 100%" in shown and "1000/1000" in shown
    assert shown.count("\r") <= 3  # the first and the last state, not one for each item


def test_items_done_before_count_as_done(capsys):
    for _ in progress(range(8), "resume", total=10, start=2):
        pass
    assert "10/10" in capsys.readouterr().err


def test_quiet_shows_nothing(capsys):
    assert list(progress("abc", "quiet", quiet=True)) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""
