"""dvc.yaml against the code: DVC does not see imports, so a room missing there would go unnoticed until it matters."""

import ast
import re
from pathlib import Path

import pytest
import yaml
from repository import ROOT

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
ROOMS = {path.name for path in (ROOT / "src").iterdir() if path.is_dir() and path.name != "__pycache__"}
LIBRARY_OWNERS = {
    "SimpleITK": {"imaging"},
    "nnunetv2": {"segmentation"},
    "matplotlib": {"figures"},
    "pydicom": {"imaging", "phantom"},
    "radiomics": {"features", "challenge"},
    "cv2": {"quality"},
    "frd_score": {"features", "quality"},
    "h5py": {"features"},
    "imagecodecs": {"imaging"},
    "highdicom": {"imaging"},
    "openpyxl": {"pipeline"},
}


def imports(path):
    """Dotted names that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reached(path, seen):
    """All files of the rooms that `path` imports, and what these import."""
    for name in imports(path):
        parts = name.split(".")
        if parts[0] in ROOMS:
            found = [ROOT / "src" / Path(*parts).with_suffix(".py"), ROOT / "src" / parts[0] / "__init__.py"]
            for file in filter(Path.is_file, found):
                if file not in seen:
                    seen.add(file)
                    reached(file, seen)
    return seen


@pytest.mark.parametrize("name", STAGES)
def test_deps_name_the_script_and_every_room_it_reaches(name):
    stage = STAGES[name]
    script = re.match(r"python (src/\w+\.py)", stage["cmd"]).group(1)
    rooms = {file.relative_to(ROOT / "src").parts[0] for file in reached(ROOT / script, set())}
    named = {dep for dep in stage["deps"] if dep.startswith("src/")}
    assert named == {script, *(f"src/{room}" for room in rooms)}


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_says_what_it_does(name):
    assert len(STAGES[name]["desc"]) > 20


def test_metrics_and_plots_are_in_git_and_nothing_else_is():
    for stage in STAGES.values():
        for kind in ("metrics", "plots"):
            for entry in stage.get(kind, []):
                assert all(
                    options.get("cache") is False or path.startswith("plots/segmenters/")
                    for path, options in entry.items()
                )
        cached = [out for out in stage.get("outs", []) if isinstance(out, str)]
        assert all(out.startswith("artifacts/") for out in cached)


def test_every_parameter_is_one_that_exists():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for stage in STAGES.values():
        for name in stage.get("params", []):
            value = params
            for key in name.replace(".${item.setting}", "").split("."):
                value = value[key]


def test_only_the_owning_room_knows_a_library():
    for file in (ROOT / "src").rglob("*.py"):
        room = file.relative_to(ROOT / "src").parts[0]
        for name in imports(file):
            owners = LIBRARY_OWNERS.get(name.split(".")[0])
            assert owners is None or room in owners, f"{file} imports {name}"


def test_rooms_do_not_import_stage_scripts_and_pipeline_imports_no_room():
    scripts = {path.stem for path in (ROOT / "src").glob("*.py")}
    for file in (path for room in ROOMS for path in (ROOT / "src" / room).rglob("*.py")):
        heads = {name.split(".")[0] for name in imports(file)}
        assert not heads & (scripts - ROOMS), file
        if file.parent.name == "pipeline":
            assert not heads & (ROOMS - {"pipeline"}), file
        if file.parent.name == "pix2pixhd":
            assert heads & ROOMS <= {"pix2pixhd", "pipeline"}, file


def test_rooms_import_each_other_in_one_direction():
    below = {
        room: {name.split(".")[0] for file in (ROOT / "src" / room).rglob("*.py") for name in imports(file)}
        & (ROOMS - {room})
        for room in ROOMS
    }
    while below:
        free = {room for room, others in below.items() if not others & below.keys()}
        assert free, f"these rooms import each other: {below}"
        below = {room: others for room, others in below.items() if room not in free}
