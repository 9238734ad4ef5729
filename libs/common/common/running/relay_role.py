"""The role `relay`, the same in every service: sends what the outbox holds, and deletes what has done its duty."""

import os
import socket
from collections.abc import Iterable
from functools import partial
from typing import Any

from common.component import Component
from common.service import Runtime


def relay_components(runtime: Runtime[Any]) -> Iterable[Component]:
    from common.messaging.relay import Relay
    from common.running.purge import Purger, standard_rules

    owner = f"{socket.gethostname()}:{os.getpid()}"
    counts = runtime.service.counts
    folding = [Component("counts", partial(counts.fold_regularly, runtime.pool))] if counts is not None else []
    return [
        Relay(runtime.pool, runtime.settings.kafka_bootstrap, owner, source=runtime.service.name).component,
        Purger(runtime.pool, standard_rules(runtime.settings)).component,
        *folding,
    ]
