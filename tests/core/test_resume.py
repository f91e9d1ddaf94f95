"""The resume folder of a run depends on its settings and on the content of its files."""

from pathlib import Path

from pre2post.core.resume import resume_folder, resume_root


def test_settings_and_content_determine_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    data = tmp_path / "data.npy"
    data.write_bytes(b"1")
    first = resume_folder("stage", {"lr": 1}, [data])
    assert first == resume_folder("stage", {"lr": 1}, [data])
    assert first.parent == tmp_path / ".resume" / "stage"
    assert resume_folder("stage", {"lr": 2}, [data]) != first
    data.write_bytes(b"2")
    assert resume_folder("stage", {"lr": 1}, [data]) != first


def test_files_count_by_name_and_content_in_any_folder_and_order(tmp_path):
    """So an experiment in a temporary copy finds the state of the workspace."""
    files = {}
    for place in ("here", "there"):
        files[place] = [tmp_path / place / name for name in ("a.npy", "b.npy")]
        files[place][0].parent.mkdir()
        for file in files[place]:
            file.write_bytes(file.name.encode())
    found = resume_folder("stage", {}, files["here"])
    assert resume_folder("stage", {}, files["there"][::-1]) == found
    renamed = files["there"][0].rename(tmp_path / "there" / "c.npy")
    assert resume_folder("stage", {}, [renamed, files["there"][1]]) != found


def test_without_dvc_the_folder_is_in_the_working_directory(monkeypatch):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert resume_root() == Path(".resume")
