"""Named moments at which a test makes this process die, fail or stop; in production they do nothing.

`FAILPOINT=relay.after_read:kill` takes effect the first time that moment is reached, `…:kill:3` the third time.
Actions: `kill` (SIGKILL, as a crash), `stop` (SIGSTOP, as a long pause) and `raise` (`FailpointReached`).
"""

import os
import signal


class FailpointReached(Exception):
    """Raised by a failpoint that was told to."""


def hit(name: str) -> None:
    """Say that the moment `name` has come."""
    if _armed is not None:
        _armed.hit(name)


class _Armed:
    def __init__(self, description: str) -> None:
        self._name, self._action, *count = description.split(":")
        self._hits_left = int(count[0]) if count else 1

    def hit(self, name: str) -> None:
        if name != self._name:
            return
        self._hits_left -= 1
        if self._hits_left != 0:
            return
        if self._action == "raise":
            raise FailpointReached(name)
        os.kill(os.getpid(), {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}[self._action])


_armed = _Armed(os.environ["FAILPOINT"]) if os.environ.get("FAILPOINT") else None
