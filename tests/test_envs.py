"""The pinned constraints, the conda environment and pyproject.toml name the same packages."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.split("[")[0]).lower()


def constraints() -> dict[str, str]:
    lines = (ROOT / "envs/constraints.txt").read_text().splitlines()
    return {
        canonical(name): version
        for name, version in (line.split("==") for line in lines if line and not line.startswith("#"))
    }


def conda_pins() -> dict[str, str]:
    environment = yaml.safe_load((ROOT / "envs/environment.yaml").read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    return {canonical(name): version for name, version in (line.split("==") for line in pip if "==" in line)}


def declared(*extras: str) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + [
        line for extra in extras for line in project["optional-dependencies"][extra]
    ]
    return {canonical(re.split(r"[<>=!~ ]", line)[0]) for line in lines}


def test_conda_environment_pins_what_the_constraints_pin():
    pins = constraints()
    assert conda_pins() == {name: pins[name] for name in declared("workflow")}


def test_every_dependency_is_pinned():
    assert declared("workflow", "dev", "kaggle", "keras", "bench", "browser", "tensorboard") <= set(
        constraints()
    )


def test_constraints_hold_no_address():
    for file in ("constraints.txt", "environment.yaml"):
        text = (ROOT / "envs" / file).read_text()
        assert "://" not in text
        assert " @ " not in text


def test_pins_satisfy_the_bounds():
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = constraints()
    lines = project["dependencies"] + [
        line for extra in project["optional-dependencies"].values() for line in extra
    ]
    for requirement in map(Requirement, lines):
        assert requirement.specifier.contains(pins[canonical(requirement.name)]), requirement
