"""Supervisor of the stack: starts its processes in order, restarts those that end, stops them in order."""

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

FIRST_DELAY, LONGEST_DELAY = 0.2, 5.0  # seconds between the end of a process and its restart
HEALTHY_SECONDS = 10.0  # a process that has run this long is restarted with the first delay
READY_TIMEOUT = 90.0
MAX_FAILED_STARTS = 6
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """Runs a stack once. Call it from the main thread: the children end with the thread that started them."""

    def __init__(self, stack: Stack, terminal: Terminal) -> None:
        self._stack = stack
        self._terminal = terminal
        self._restarters = asyncio.TaskGroup()
        self._exits: Counter[Server] = Counter()
        self._ready = False

    async def run(self) -> None:
        """Run until a stop signal, and return when every process has ended.

        Raises StartError or CommandError, in an ExceptionGroup, when the stack does not become ready.
        """
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(len(self._stack.processes)))
        stop_requested = asyncio.Event()
        for number in STOP_SIGNALS:
            # SIGHUP stays ignored under `nohup`. SIGINT, which shells ignore for background jobs, does not.
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, stop_requested.set)
        run = asyncio.create_task(self._run_stack())
        stop = asyncio.create_task(stop_requested.wait())
        await asyncio.wait({run, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        run.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            try:
                await run
            finally:
                await self._shut_down()

    async def _run_stack(self) -> None:
        async with self._restarters:
            with self._terminal.starting():
                await self._start()
            self._ready = True
            self._write_description()
            self._terminal.ready(self._stack.description(), self._stack.folder)

    async def _start(self) -> None:
        stack = self._stack
        async with asyncio.TaskGroup() as start:
            start.create_task(self._start_postgres())
            start.create_task(self._bring_up(stack.kafka, "Apache Kafka"))
            for part in stack.sandbox:
                start.create_task(self._bring_up(part.server, f"{part.role} sandbox"))
        async with asyncio.TaskGroup() as start:
            for service in SERVICES:
                start.create_task(self._set_up(service))
        async with asyncio.TaskGroup() as start:
            for role in (*stack.role_processes, *stack.fronts):
                start.create_task(self._bring_up(role.server, f"{role.server.name} ready"))

    async def _start_postgres(self) -> None:
        await self._bring_up(self._stack.postgres, "PostgreSQL")
        with self._terminal.step("databases and logins"):
            for service in SERVICES:
                await asyncio.to_thread(self._stack.postgres.create_database, service)

    async def _set_up(self, service: str) -> None:
        ensure_keys = ["api-keys", "ensure", "--from-file", str(self._stack.credentials.api_key_file)]
        with self._terminal.step(f"{service} migrated, API keys stored"):
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
            self._restarters.create_task(self._restart_when_ended(server))
            deadline = time.monotonic() + READY_TIMEOUT
            while not await asyncio.to_thread(server.is_ready):
                if self._exits[server] >= MAX_FAILED_STARTS or time.monotonic() > deadline:
                    raise StartError(f"{server.name} is not ready, see {server.log}:\n{process.tail(server.log)}")
                await asyncio.sleep(0.1)

    async def _restart_when_ended(self, server: Server) -> None:
        delay = FIRST_DELAY
        while True:
            start = time.monotonic()
            code = await server.ended()
            self._exits[server] += 1
            if time.monotonic() - start > HEALTHY_SECONDS:
                delay = FIRST_DELAY
            self._terminal.say(f"[yellow]{server.name} ended with {code}, restarts in {delay:g} s[/]")
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_DELAY)
            server.kill()  # its own children, which may outlive it
            with contextlib.suppress(OSError):  # out of memory or disk space: the next round retries
                server.spawn()
            self._write_description()

    def _write_description(self) -> None:
        if self._ready:
            stack_json.write(self._stack.folder, self._stack.description())

    async def _shut_down(self) -> None:
        """Stop the roles before the servers that they need to finish their work. Takes up to 14 s if all hang."""
        start = time.monotonic()
        stack_json.remove(self._stack.folder)
        self._terminal.say("Stopping …")
        await _stop((each.server for each in (*self._stack.role_processes, *self._stack.fronts)), grace=8.0)
        await _stop((part.server for part in self._stack.sandbox), grace=1.0)
        await _stop([self._stack.kafka], grace=3.0)
        await _stop([self._stack.postgres], grace=2.0)
        self._terminal.say(f"Stopped in {time.monotonic() - start:.1f} s.")


async def _stop(servers: Iterable[Server], grace: float) -> None:
    stopping = list(servers)
    for server in stopping:
        server.send_stop_signal()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(grace):
            await asyncio.gather(*(server.ended() for server in stopping))
    for server in stopping:
        server.kill()
