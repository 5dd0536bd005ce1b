"""The house stands as drawn: steps apart, pure rooms pure, hands only where they belong."""

import ast
import inspect
import subprocess
import sys
import typing
from importlib import import_module
from pathlib import Path

import pytest

from store.model.ports import Actuator

ROOT = Path(__file__).parents[2]
STEPS = sorted(path for path in (ROOT / "agent" / "steps").glob("*.py") if path.name != "__init__.py")
PURE = ["store.model.ports", "store.model.summary", "playbooks.registry", "agent.policy", "agent.detectors.detect"]
VENDORS = ["sqlalchemy", "duckdb", "pyarrow", "langgraph", "anthropic", "httpx", "slack_sdk", "apscheduler"]
HANDS = {"apply", "verify", "revert"}


@pytest.mark.parametrize("package", ["store", "tools", "playbooks", "agent", "evals", "tests"])
def test_root_packages_are_this_repository(package: str) -> None:
    """No dependency shadows our top-level names."""
    module = import_module(package)
    assert module.__file__ is not None
    assert Path(module.__file__).parent.parent == ROOT


@pytest.mark.parametrize("path", STEPS, ids=lambda path: path.stem)
def test_steps_do_not_import_each_other(path: Path) -> None:
    """A step knows the nouns, never another step."""
    imported = {
        node.module
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module is not None
    }
    assert not {name for name in imported if name.startswith("agent.steps")}


@pytest.mark.parametrize("module", PURE)
def test_pure_rooms_load_no_vendor_library(module: str) -> None:
    """Importing a pure room leaves every vendor library unloaded, in a fresh process."""
    code = f"import sys, {module}; print([v for v in {VENDORS} if v in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("path", sorted(ROOT.glob("[!.]*/**/__init__.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_package_files_are_empty(path: Path) -> None:
    """An __init__ that imports would make a pure room impure."""
    assert path.read_text().strip() == ""


@pytest.mark.parametrize("path", STEPS, ids=lambda path: path.stem)
def test_only_three_steps_hold_an_actuator(path: Path) -> None:
    """The steps apply, verify and revert may touch a gateway; no other step is ever given hands."""
    module = import_module(f"agent.steps.{path.stem}")
    holders = [
        name
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and Actuator in typing.get_type_hints(function).values()
    ]
    assert not holders or path.stem in HANDS


def test_steps_take_keyword_only_dependencies() -> None:
    """A step's signature lists everything that it may touch, by name."""
    for path in STEPS:
        module = import_module(f"agent.steps.{path.stem}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ != module.__name__ or name.startswith("_"):
                continue
            kinds = {parameter.kind for parameter in inspect.signature(function).parameters.values()}
            assert kinds <= {inspect.Parameter.KEYWORD_ONLY}, f"{path.stem}.{name} takes positional arguments"
