"""No module is long."""

from pathlib import Path

from architecture.module_length import too_long_modules
from architecture.source_files import ROOT, write_tree


def test_no_module_of_a_service_or_of_common_is_longer_than_250_lines() -> None:
    assert too_long_modules(ROOT, "libs", "services") == []


def test_a_longer_module_is_found(tmp_path: Path) -> None:
    write_tree(tmp_path, {"services/a/a/domain.py": "x = 1\n" * 250, "services/a/a/events.py": "x = 1\n" * 251})
    assert too_long_modules(tmp_path, "services") == ["services/a/a/events.py: 251 lines, at most 250"]
