"""The author of a service has to know few names of common."""

from pathlib import Path

from architecture.common_names import common_names
from architecture.source_files import ROOT, SERVICES, write_tree

# Lower it with each name that goes; the aim is 60.
MOST_NAMES = 134


def test_services_use_no_more_names_of_common_than_they_may() -> None:
    names = common_names(ROOT, *(f"services/{name}" for name in SERVICES))
    assert len(names) <= MOST_NAMES, "\n".join(f"{count} {name}" for name, count in sorted(names.items()))


def test_what_is_imported_and_what_is_used_of_an_imported_module_counts(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            "libs/common/common/jobs/queue.py": "",
            "services/a/a/app.py": "from common.service import Service\nfrom common.jobs import queue\nqueue.add()\n",
            "services/b/b/app.py": "from common.service import Service\n",
            "services/b/b/migrations/versions/0001_b.py": "from common.database import tables\n",
        },
    )
    assert common_names(tmp_path, "services") == {"common.service:Service": 2, "common.jobs.queue:add": 1}
