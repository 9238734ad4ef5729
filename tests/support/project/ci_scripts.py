"""The scripts of `.ci`, loaded as modules."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

CI = Path(__file__).parents[3] / ".ci"


def ci_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, CI / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
