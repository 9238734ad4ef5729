"""Failpoints: places in the code where a test makes the process crash, pause or raise. Without one, they do nothing.

`FAILPOINT=relay.after_read:kill` acts when that place is first reached, `…:kill:3` the third time. Actions: `kill`
(SIGKILL, like a crash), `stop` (SIGSTOP, like a long pause) and `raise` (`FailpointReached`).
"""

import itertools
import os
import signal


class FailpointReached(Exception):
    """Raised by the action `raise`."""


_name, _action, _time = (*(os.environ.get("FAILPOINT") or "::").split(":"), "1")[:3]
_times = itertools.count(1)


def hit(name: str) -> None:
    """Act if the test has armed the failpoint `name`."""
    if name != _name or next(_times) != int(_time):
        return
    if _action == "raise":
        raise FailpointReached(name)
    os.kill(os.getpid(), {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}[_action])
