"""The scripts of `.ci`, loaded as modules."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

CI = Path(__file__).parents[3] / ".ci"


def ci_script(name: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(name, CI / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # dataclasses look their module up
    found.loader.exec_module(module)
    return module
