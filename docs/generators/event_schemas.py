"""Generator of the JSON Schemas of all published events: `make contracts` writes them to `tests/contracts/schemas`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.jobs.dead_letters import DEAD_JOB, DeadJob
from common.messaging.dead_letters import DEAD_RECORD, DeadRecord
from common.messaging.envelope import EventData, full_name
from common.reconciliation.reports import DISCREPANCY, DiscrepancyData
from generators.compatibility import breaking_changes
from invoicing import events as invoicing
from orders import events as orders
from refunds import events as refunds
from returns import events as returns

CONTRACTS = Path(__file__).parents[2] / "tests" / "contracts"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

PUBLISHED: Mapping[str, type[EventData]] = {
    **dict.fromkeys(orders.PUBLISHED, orders.OrderData),
    **invoicing.PUBLISHED,
    **dict.fromkeys(returns.PUBLISHED, returns.ReturnData),
    **dict.fromkeys(refunds.PUBLISHED, refunds.RefundData),
    **dict.fromkeys(refunds.PUBLISHED_DISPUTES, refunds.DisputeData),
    DISCREPANCY: DiscrepancyData,
    DEAD_JOB: DeadJob,
    DEAD_RECORD: DeadRecord,
}


def schema_of(event_type: str) -> dict[str, Any]:
    """The schema of the producer's model, open to further fields: a later version may add optional ones."""
    schema = PUBLISHED[event_type].model_json_schema(mode="serialization")
    for part in (schema, *schema.get("$defs", {}).values()):
        part.pop("additionalProperties", None)
    return {"$schema": DIALECT, "$id": f"urn:{full_name(event_type)}", **schema}


def schema_file(event_type: str) -> Path:
    return CONTRACTS / "schemas" / f"{event_type}.v1.json"


def committed_schema(event_type: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(schema_file(event_type).read_text())
    return schema


def example_files(event_type: str) -> list[Path]:
    return sorted((CONTRACTS / "examples" / event_type).glob("*.json"))


def main() -> int:
    """Write every schema that changed. One that would break consumers is not written, and the exit code is 1."""
    broken = False
    for event_type in PUBLISHED:
        file, schema = schema_file(event_type), schema_of(event_type)
        if file.exists() and (changes := breaking_changes(committed_schema(event_type), schema)):
            broken = True
            sys.stderr.write(f"{event_type} needs a new major version:\n" + "".join(f"  {each}\n" for each in changes))
        else:
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
