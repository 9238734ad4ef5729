"""Print the software bill of materials of this environment (CycloneDX 1.5): its Python and its Debian packages.

    python bill_of_materials.py orders

It contains neither a serial number nor a time: the same image has the same document.
"""

import json
import sys
from collections.abc import Iterator
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any
from urllib.parse import quote

DEBIAN_PACKAGES = Path("/var/lib/dpkg/status")


def bill_of_materials(service: str) -> dict[str, Any]:
    """Raises `importlib.metadata.PackageNotFoundError` when the service is not installed."""
    components = {component["bom-ref"]: component for component in (*_python_packages(), *_debian_packages())}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "name": f"articurated/{service}",
                "version": version(f"articurated-{service}"),
            }
        },
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
            name, release = fields["Package"], fields["Version"]
            yield _component(
                name, release, f"pkg:deb/debian/{quote(name)}@{quote(release)}?arch={fields['Architecture']}"
            )


def _component(name: str, release: str, package_url: str) -> dict[str, Any]:
    return {"type": "library", "bom-ref": package_url, "name": name, "version": release, "purl": package_url}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(bill_of_materials(sys.argv[1]), indent=1) + "\n")
