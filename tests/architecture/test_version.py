"""All packages and images have one version, which libs/common/common/__init__.py states."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import common
import pytest
from architecture.dependencies import projects
from architecture.source_files import ROOT


@pytest.mark.parametrize("project", projects(ROOT), ids=lambda project: project.name)
def test_a_package_has_the_version_that_common_states(project: Path) -> None:
    settings = tomllib.loads((project / "pyproject.toml").read_text())
    assert settings["project"]["dynamic"] == ["version"]
    assert (project / settings["tool"]["hatch"]["version"]["path"]).resolve() == Path(common.__file__)
    assert version(settings["project"]["name"]) == common.__version__


def test_an_image_is_labelled_with_the_version_that_common_states() -> None:
    dockerfile = (ROOT / "deploy/Dockerfile").read_text()
    assert re.findall(r"^ARG VERSION=(.*)$", dockerfile, flags=re.MULTILINE) == [common.__version__]
