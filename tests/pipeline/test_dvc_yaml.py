"""dvc.yaml against the code: DVC does not see imports, so a file missing there would go unnoticed until it matters."""

import ast
import importlib
import re
from pathlib import Path

import pytest
import yaml
from repository import ROOT, SRC
from tools.update_deps import reached_files, with_deps, without_type_imports

from pre2post.core.section import StageParams

TEXT = (ROOT / "dvc.yaml").read_text()
STAGES = yaml.safe_load(TEXT)["stages"]
PACKAGE = SRC / "pre2post"
PACKAGES = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
LIBRARY_OWNERS = {
    "SimpleITK": {"image", "io", "dicom"},
    "nnunetv2": {"segmentation"},
    "matplotlib": {"figures"},
    "pydicom": {"dicom", "ingest", "phantom"},
    "radiomics": {"features", "mama_synth"},
    "cv2": {"metrics"},
    "frd_score": {"features", "metrics"},
    "h5py": {"features"},
    "imagecodecs": {"dicom"},
    "highdicom": {"dicom"},
    "openpyxl": {"core"},
    "click": {"cli"},
}
NEVER_RETRAINED_BY = ("ingest/layouts", "metrics", "figures", "phantom", "report", "cli", "mama_synth", "stats", "same",
                      "evaluation", "dicom")  # fmt: skip


def script(stage: dict) -> Path:
    return ROOT / re.match(r"python (src/\w+\.py)", stage["cmd"]).group(1)


def imports(path: Path):
    """Yield the dotted names that a file imports, anywhere in it, but not for type checkers alone."""
    for node in ast.walk(without_type_imports(ast.parse(path.read_text()))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_packages(path: Path) -> set[str]:
    names = (name.split(".") for name in imports(path))
    return {name[1] for name in names if name[0] == "pre2post" and len(name) > 1} & PACKAGES


@pytest.mark.parametrize("name", STAGES)
def test_each_stage_depends_on_exactly_the_files_that_it_reaches(name):
    named = {dep for dep in STAGES[name]["deps"] if dep.startswith("src/")}
    assert named == {str(file.relative_to(ROOT)) for file in reached_files(script(STAGES[name]))}, "run `make deps`"


@pytest.mark.parametrize("name", STAGES)
def test_what_a_stage_really_loads_is_among_its_dependencies(name, loaded_modules):
    """Imports at the top of the script and of all that these import, as Python executes them."""
    loaded = loaded_modules(script(STAGES[name]))
    assert loaded and loaded <= {dep for dep in STAGES[name]["deps"] if dep.startswith("src/")}


@pytest.fixture(scope="module")
def loaded_modules():
    import subprocess
    import sys

    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]; sys.path.insert(0, 'src'); runpy.run_path(sys.argv[0])\n"
        "print('\\n'.join(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'pre2post'))"
    )

    def load(file: Path) -> set[str]:
        done = subprocess.run([sys.executable, "-c", code, file], cwd=ROOT, capture_output=True, text=True, check=True)
        return {str(Path(line).relative_to(ROOT)) for line in done.stdout.splitlines()}

    return load


@pytest.mark.parametrize("name", ["train_gan", "train_segmentation"])
def test_a_training_does_not_depend_on_what_cannot_change_it(name):
    for dep in STAGES[name]["deps"]:
        assert not any(dep.startswith(f"src/pre2post/{folder}/") for folder in NEVER_RETRAINED_BY), dep


def test_the_deps_are_rewritten_after_a_change_of_imports(tmp_path):
    package = tmp_path / "src/pre2post/a"
    package.mkdir(parents=True)
    for file in (package.parent / "__init__.py", package / "__init__.py", package / "c.py", package / "only_typed.py"):
        file.write_text("")
    (package / "table.csv").write_text("")
    (package / "b.py").write_text(
        "from typing import TYPE_CHECKING\nfrom pathlib import Path\nTABLE = Path(__file__).with_name('table.csv')\n"
        "def late():\n    from pre2post.a import c\nif TYPE_CHECKING:\n    from pre2post.a import only_typed\n"
    )
    (tmp_path / "src/run.py").write_text("import json\nimport pre2post.a.b\n")
    text = (
        "stages:\n  run:\n    cmd: python src/run.py\n    deps:\n    - data\n    - src/old.py\n    params:\n    - x\n"
    )
    deps = yaml.safe_load(with_deps(text, tmp_path))["stages"]["run"]["deps"]
    files = ("__init__.py", "a/__init__.py", "a/b.py", "a/c.py", "a/table.csv")
    assert deps == ["data", *(f"src/pre2post/{name}" for name in files), "src/run.py"]
    assert with_deps(with_deps(text, tmp_path), tmp_path) == with_deps(text, tmp_path)


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


def test_only_quick_stages_do_without_the_run_cache():
    """An entry under outs with `cache: false` turns it off, and going back to old parameters runs the stage again."""
    uncached = {
        name
        for name, stage in STAGES.items()
        for out in stage.get("outs", [])
        if isinstance(out, dict) and next(iter(out.values())).get("cache") is False
    }
    assert uncached == {"split", "write_results"}


def test_every_parameter_is_one_that_exists():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for stage in STAGES.values():
        for name in stage.get("params", []):
            value = params
            for key in name.split("."):
                value = value[key]


@pytest.mark.parametrize("name", [name for name, stage in STAGES.items() if "params" in stage])
def test_a_stage_reads_the_sections_that_dvc_yaml_names(name):
    """The class whose read() the script calls has a field per section, and DVC watches a part of each."""
    text = script(STAGES[name]).read_text()
    reader = re.search(r"(\w*Params)\.read\(\)", text).group(1)
    module = importlib.import_module(script(STAGES[name]).stem)
    fields = set(getattr(module, reader).model_fields)
    assert issubclass(getattr(module, reader), StageParams)
    assert fields == {param.split(".")[0] for param in STAGES[name]["params"]}


def test_only_the_owning_package_imports_a_library():
    for file in PACKAGE.rglob("*.py"):
        package = file.relative_to(PACKAGE).parts[0]
        for name in imports(file):
            owners = LIBRARY_OWNERS.get(name.split(".")[0])
            assert owners is None or package in owners, f"{file} imports {name}"


def test_the_package_imports_no_stage_script():
    scripts = {path.stem for path in SRC.glob("*.py")}
    for file in PACKAGE.rglob("*.py"):
        assert not {name.split(".")[0] for name in imports(file)} & scripts, file


@pytest.mark.parametrize("package, allowed", [("core", set()), ("pix2pixhd", {"core"}), ("phantom", {"core"})])
def test_these_packages_import_no_other(package, allowed):
    for file in (PACKAGE / package).rglob("*.py"):
        assert imported_packages(file) <= allowed | {package}, file


def test_packages_import_each_other_in_one_direction():
    below = {
        package: {name for file in (PACKAGE / package).rglob("*.py") for name in imported_packages(file)} - {package}
        for package in PACKAGES
    }
    below = {package: others - {"pipeline"} for package, others in below.items() if package != "pipeline"}
    while below:
        free = {package for package, others in below.items() if not others & below.keys()}
        assert free, f"these packages import each other: {below}"
        below = {package: others for package, others in below.items() if package not in free}
