"""How the packages lie and what they import: the house plan, checked."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from importlib import import_module, resources
from pathlib import Path

import pytest

import glan_dspy

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "glan_dspy"

with (ROOT / "pyproject.toml").open("rb") as file:
    PROJECT = tomllib.load(file)


def folders_of_python(folder: Path, name: str) -> set[str]:
    """The dotted names of all packages below a folder, links followed."""
    found = {name} if any(folder.glob("*.py")) else set[str]()
    for child in folder.iterdir():
        if child.is_dir() and child.name != "__pycache__":
            found |= folders_of_python(child, f"{name}.{child.name}")
    return found


def modules_of(*folders: str) -> list[Path]:
    """The files of these folders and files of the package, and of the packages below them."""
    paths = [PACKAGE / folder for folder in folders]
    found = [file for path in paths for file in (path.resolve().rglob("*.py") if path.is_dir() else [path])]
    assert found
    return sorted(found)


def imports_of(path: Path) -> set[str]:
    """Every module of ours that a file imports, wherever in it: 'glan_dspy.records'."""
    found = set[str]()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            assert node.module
            # `from glan_dspy import records` names the module in its list.
            inner = {f"glan_dspy.{alias.name}" for alias in node.names} if node.module == "glan_dspy" else set[str]()
            found |= inner or {node.module}
    return {name for name in found if name.split(".")[0] in {"glan_dspy", "signatures", "optimize"}}


def outside(folders: list[str], *allowed: str) -> dict[str, set[str]]:
    """What these files import of ours that lies in none of the allowed modules."""
    return {
        str(path.relative_to(ROOT)): others
        for path in modules_of(*folders)
        if (others := {name for name in imports_of(path) if not f"{name}.".startswith(tuple(f"{a}." for a in allowed))})
    }


# --- the tree -------------------------------------------------------------------------------------


def test_the_package_list_is_the_tree() -> None:
    listed = PROJECT["tool"]["setuptools"]["packages"]
    assert listed == sorted(listed)
    assert set(listed) == folders_of_python(PACKAGE, "glan_dspy")


def test_every_package_says_so() -> None:
    for name in PROJECT["tool"]["setuptools"]["packages"]:
        assert (PACKAGE / Path(*name.split(".")[1:]) / "__init__.py").is_file(), name


@pytest.mark.parametrize("name", ["signatures", "optimize"])
def test_the_folder_at_the_top_is_the_package(name: str) -> None:
    assert PROJECT["tool"]["setuptools"]["package-dir"][f"glan_dspy.{name}"] == name
    inside, above = PACKAGE / name, ROOT / name
    assert inside.samefile(above)
    files = sorted(path.name for path in above.glob("*.py"))
    assert files
    for file in files:
        assert (inside / file).samefile(above / file)
    module = import_module(f"glan_dspy.{name}")
    assert module.__file__
    assert Path(module.__file__).samefile(above / "__init__.py")


def test_the_links_are_relative() -> None:
    for name in ("signatures", "optimize"):
        if (PACKAGE / name).is_symlink():
            assert str((PACKAGE / name).readlink()) == f"../{name}"


def test_no_file_is_imported_under_a_bare_name() -> None:
    for path in [*modules_of("."), *modules_of("signatures", "optimize")]:
        bare = {name for name in imports_of(path) if not name.startswith("glan_dspy")}
        assert not bare, f"{path} makes a second copy of {bare}"


def test_data_files_are_packaged() -> None:
    home = resources.files("glan_dspy")
    assert (home / "py.typed").is_file()
    data = PROJECT["tool"]["setuptools"]["package-data"]
    covered = {
        path
        for package, patterns in data.items()
        for pattern in patterns
        for path in (PACKAGE / Path(*package.split(".")[1:])).glob(pattern)
    }
    folders = (PACKAGE, PACKAGE / "optimize", PACKAGE / "signatures")  # rglob does not go through the links
    found = (path for folder in folders for path in folder.rglob("*"))
    every = {path for path in found if path.is_file() and "__pycache__" not in path.parts}
    assert {path for path in every if path.suffix not in {".py", ".pyc"}} == covered


def test_the_version_is_the_projects() -> None:
    assert glan_dspy.__version__ == PROJECT["project"]["version"]


# --- the public face ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", glan_dspy.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert callable(getattr(glan_dspy, name))
    assert name in dir(glan_dspy)


def test_public_names_are_in_order_and_no_others_are_invented() -> None:
    assert list(glan_dspy.__all__) == sorted(glan_dspy.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Glan'"):
        _ = glan_dspy.Glan


def loaded_by(code: str) -> set[str]:
    """The modules in a fresh interpreter after some code."""
    script = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import glan_dspy",
        "from glan_dspy import Settings",
        "import glan_dspy.outline, glan_dspy.sampling",
        "import glan_dspy.cli",
    ],
)
def test_what_needs_no_model_does_not_wait_for_dspy(code: str) -> None:
    assert not loaded_by(code) & {"dspy", "litellm", "openai"}


def test_importing_does_nothing_but_import() -> None:
    code = (
        "import os, pathlib\n"
        "before = dict(os.environ), sorted(p.name for p in pathlib.Path('.').iterdir())\n"
        "import glan_dspy, glan_dspy.settings, glan_dspy.records\n"
        "assert before == (dict(os.environ), sorted(p.name for p in pathlib.Path('.').iterdir()))"
    )
    assert "glan_dspy.records" in loaded_by(code)


# --- imports run downwards ------------------------------------------------------------------------


def test_records_and_settings_import_nothing_of_ours() -> None:
    assert outside(["records.py", "settings.py", "errors.py"]) == {}


def test_sampling_knows_records_only() -> None:
    assert outside(["sampling.py"], "glan_dspy.records") == {}


def test_engines_know_nothing_of_glan() -> None:
    assert outside(["engines"], "glan_dspy.engines", "glan_dspy.errors", "glan_dspy.hiding") == {}


def test_signatures_know_records_only() -> None:
    assert outside(["signatures"], "glan_dspy.signatures", "glan_dspy.records") == {}


def test_adapters_know_nothing_of_ours() -> None:
    assert outside(["adapters.py"]) == {}


def test_stages_stand_on_signatures_engines_and_gates() -> None:
    below = ("signatures", "engines", "gates", "records", "errors", "sampling", "adapters", "predicting")
    assert outside(["stages.py"], *(f"glan_dspy.{name}" for name in below)) == {}


def test_gates_know_records_and_gates_only() -> None:
    below = ("gates", "records", "errors", "settings")
    assert outside(["gates"], *(f"glan_dspy.{name}" for name in below)) == {}


def test_nothing_below_knows_the_command_line() -> None:
    above = [path for path in modules_of(".") if "cli" not in path.relative_to(PACKAGE).parts]
    for path in [*above, *modules_of("signatures", "optimize")]:
        assert not {name for name in imports_of(path) if name.startswith("glan_dspy.cli")}, path


def test_the_program_and_what_is_below_it_know_no_run_directory() -> None:
    lower = ["program.py", "stages.py", "connect.py", "outline.py", "engines", "signatures", "gates"]
    for path in modules_of(*lower):
        assert not {name for name in imports_of(path) if name.startswith(("glan_dspy.run", "glan_dspy.publish"))}, path
