"""`make experiment NAME=...`: the commands that it runs."""

import subprocess

import pytest
from repository import ROOT
from tools.run_experiment import commands, experiments


def test_one_experiment_has_the_settings_of_its_file():
    (command,) = commands(["spie2024"], [])
    assert command[:5] == ["dvc", "exp", "run", "-n", "spie2024"]
    assert "gan.epochs=200" in command and command.count("-n") == 1


def test_several_names_are_one_experiment_with_the_last_name():
    (line,) = experiments(["duke", "spie2024"])
    assert line.startswith("-n spie2024 ") and line.count("-n ") == 1
    assert "ingest.cohort=duke" in line and "slices.size=512" in line


def test_an_empty_text_stays_one_for_dvc():
    (command,) = commands(["duke"], [])
    assert 'split.external_site=""' in command


def test_a_file_with_an_experiment_per_line_goes_through_the_queue():
    found = commands(["ablation"], [])
    assert all(command[:4] == ["dvc", "exp", "run", "--queue"] for command in found[:-1])
    assert found[-1] == ["dvc", "queue", "start"]
    assert len({command[command.index("-n") + 1] for command in found[:-1]}) == len(found) - 1 > 1


def test_a_sweep_goes_through_the_queue():
    queued, start = commands(["ratio"], ["--force"])
    assert "--queue" in queued and queued[-1] == "--force" and start[1] == "queue"


@pytest.mark.parametrize("names, text", [(["nix"], "no such experiment"), (["duke", "ablation"], "cannot be combined")])
def test_what_cannot_be_run_is_refused_in_one_line(names, text):
    with pytest.raises(SystemExit, match=text):
        commands(names, [])


def test_make_experiment_runs_them():
    done = subprocess.run(
        ["make", "-n", "experiment", "NAME=faithful"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "tools/run_experiment.py faithful" in done.stdout
