"""Start everything in order, start again whatever ends, stop everything in order."""

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from local_stack import process, stack_json
from local_stack.program import python_module
from local_stack.server import Server, StartError
from local_stack.services import SERVICES
from local_stack.stack import Stack
from local_stack.terminal import Terminal

FIRST_DELAY, LONGEST_DELAY = 0.2, 5.0
HEALTHY_SECONDS = 10.0  # having run so long, a process is started again without the delay of earlier failures
READY_TIMEOUT = 90.0
FAILED_STARTS = 6
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """Keeps a stack running; used once, from the main thread, as the children end with the thread that made them."""

    def __init__(self, stack: Stack, terminal: Terminal) -> None:
        self._stack = stack
        self._terminal = terminal
        self._keepers = asyncio.TaskGroup()
        self._ends: Counter[Server] = Counter()
        self._published = False

    async def run(self) -> None:
        """Return after a stop signal, with every process ended.

        Raises StartError or CommandError, in an ExceptionGroup, when the stack does not get ready.
        """
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(len(self._stack.members)))
        told_to_stop = asyncio.Event()
        for number in STOP_SIGNALS:
            # `nohup` asks for SIGHUP to be ignored; a shell that does so with SIGINT only means its own Ctrl-C.
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, told_to_stop.set)
        life = asyncio.create_task(self._live())
        stop = asyncio.create_task(told_to_stop.wait())
        await asyncio.wait({life, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        life.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            try:
                await life
            finally:
                await self._shut_down()

    async def _live(self) -> None:
        async with self._keepers:
            with self._terminal.starting():
                await self._start()
            self._published = True
            self._publish()
            self._terminal.ready(self._stack.description(), self._stack.folder)

    async def _start(self) -> None:
        stack = self._stack
        async with asyncio.TaskGroup() as start:
            start.create_task(self._start_postgres())
            start.create_task(self._bring_up(stack.kafka, "Apache Kafka"))
            for member in stack.sandbox:
                start.create_task(self._bring_up(member.server, f"{member.role} sandbox"))
        async with asyncio.TaskGroup() as start:
            for service in SERVICES:
                start.create_task(self._set_up(service))
        async with asyncio.TaskGroup() as start:
            for member in stack.programs:
                start.create_task(self._bring_up(member.server, f"{member.server.name} ready"))

    async def _start_postgres(self) -> None:
        await self._bring_up(self._stack.postgres, "PostgreSQL")
        with self._terminal.step("databases and logins"):
            for service in SERVICES:
                await asyncio.to_thread(self._stack.postgres.create_database, service)

    async def _set_up(self, service: str) -> None:
        ensure_keys = ["api-keys", "ensure", "--from-file", str(self._stack.credentials.api_key_file)]
        with self._terminal.step(f"{service} migrated, keys in place"):
            await self._run([service, "migrate"], self._stack.migration_environment(service))
            await self._run([service, *ensure_keys], self._stack.service_environment(service))

    async def _run(self, arguments: list[str], environment: dict[str, str]) -> None:
        log = self._stack.log("-".join(arguments[:2]))
        command = process.spawn(python_module(*arguments), log=log, environment=environment)
        try:
            code = await process.ended(command)
        finally:
            process.kill_session(command)
        if code != 0:
            raise process.CommandError(f"{' '.join(arguments)} ended with {code}, see {log}:\n{process.tail(log)}")

    async def _bring_up(self, server: Server, title: str) -> None:
        with self._terminal.step(title):
            await asyncio.to_thread(server.prepare)
            server.spawn()
            self._keepers.create_task(self._keep_running(server))
            deadline = time.monotonic() + READY_TIMEOUT
            while not await asyncio.to_thread(server.is_ready):
                if self._ends[server] >= FAILED_STARTS or time.monotonic() > deadline:
                    raise StartError(f"{server.name} does not get ready, see {server.log}:\n{process.tail(server.log)}")
                await asyncio.sleep(0.1)

    async def _keep_running(self, server: Server) -> None:
        delay = FIRST_DELAY
        while True:
            began = time.monotonic()
            code = await server.ended()
            self._ends[server] += 1
            if time.monotonic() - began > HEALTHY_SECONDS:
                delay = FIRST_DELAY
            self._terminal.say(f"[yellow]{server.name} ended with {code}, started again in {delay:g} s[/]")
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_DELAY)
            server.kill()  # what it had started itself
            with contextlib.suppress(OSError):  # no memory or no room for a log: the next round tries again
                server.spawn()
            self._publish()

    def _publish(self) -> None:
        if self._published:
            stack_json.publish(self._stack.folder, self._stack.description())

    async def _shut_down(self) -> None:
        """Roles first, while what they need to finish their work is there; 14 s if every single one hangs."""
        began = time.monotonic()
        stack_json.withdraw(self._stack.folder)
        self._terminal.say("Stopping …")
        await _stop((member.server for member in self._stack.programs), grace=8.0)
        await _stop((member.server for member in self._stack.sandbox), grace=1.0)
        await _stop([self._stack.kafka], grace=3.0)
        await _stop([self._stack.postgres], grace=2.0)
        self._terminal.say(f"Stopped in {time.monotonic() - began:.1f} s.")


async def _stop(servers: Iterable[Server], grace: float) -> None:
    asked = list(servers)
    for server in asked:
        server.ask_to_stop()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(grace):
            await asyncio.gather(*(server.ended() for server in asked))
    for server in asked:
        server.kill()
