"""All services have the same file names."""

from pathlib import Path

from architecture.file_names import DECISION, listed_files, unlisted_files
from architecture.source_files import ROOT, SERVICES, write_tree

DECISION_TEXT = """
# 1. One shape

```text
app routes      # what every service has
repository/  reading writing
migrations/versions/  *
```
"""


def test_services_have_the_files_of_the_decision_and_no_others() -> None:
    assert unlisted_files(ROOT, SERVICES, listed_files((ROOT / DECISION).read_text())) == []


def test_a_file_with_another_name_is_found(tmp_path: Path) -> None:
    names = ["app", "helpers", "repository/reading", "repository/queries", "migrations/versions/0001_a", "__init__"]
    write_tree(tmp_path, {f"services/a/a/{name}.py": "" for name in names})
    found = unlisted_files(tmp_path, ["a"], listed_files(DECISION_TEXT))
    assert found == ["services/a/a/helpers.py", "services/a/a/repository/queries.py"]
