"""The role `relay`, the same in every service: sends what the outbox holds, and deletes what has done its duty."""

import os
import socket
from collections.abc import Iterable
from functools import partial
from typing import Any

from common.component import Component
from common.service import Runtime

# PostgreSQL plans the relay's statements while next to nothing is pending, and keeps the plan for a million rows.
# Only an index in its order is good for both: going over the table, or over a bitmap of it, the relay came down to a
# thousand events a second, or to a fifth of its rate (ADR 0004).
SERVER_SETTINGS = {"enable_seqscan": "off", "enable_bitmapscan": "off"}


def relay_components(runtime: Runtime[Any]) -> Iterable[Component]:
    from common.messaging.outgoing.relay import Relay
    from common.running.purge import Purger, standard_rules

    owner = f"{socket.gethostname()}:{os.getpid()}"
    counts = runtime.service.counts
    folding = [Component("counts", partial(counts.fold_regularly, runtime.pool))] if counts is not None else []
    return [
        Relay(runtime.pool, runtime.settings.kafka_bootstrap, owner, source=runtime.service.name).component,
        Purger(runtime.pool, standard_rules(runtime.settings)).component,
        *folding,
    ]
