"""Write what this environment is made of as a CycloneDX 1.5 document: its Python and its Debian packages.

    python bill_of_materials.py orders 0.1.0

It has neither a serial number nor a time in it: the same image has the same document.
"""

import json
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

DEBIAN_PACKAGES = Path("/var/lib/dpkg/status")


def bill_of_materials(name: str, version: str) -> dict[str, Any]:
    components = {each["bom-ref"]: each for each in (*_python_packages(), *_debian_packages())}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": f"articurated/{name}", "version": version}},
        "components": [component for _, component in sorted(components.items())],
    }


def _python_packages() -> Iterator[dict[str, Any]]:
    for each in distributions():
        name = each.metadata["Name"].lower().replace("_", "-")
        yield _component(name, each.version, f"pkg:pypi/{name}@{each.version}")


def _debian_packages() -> Iterator[dict[str, Any]]:
    if not DEBIAN_PACKAGES.exists():
        return
    for paragraph in DEBIAN_PACKAGES.read_text().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            yield _component(
                name, version, f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={fields['Architecture']}"
            )


def _component(name: str, version: str, package_url: str) -> dict[str, Any]:
    return {"type": "library", "bom-ref": package_url, "name": name, "version": version, "purl": package_url}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(bill_of_materials(*sys.argv[1:]), indent=1) + "\n")
