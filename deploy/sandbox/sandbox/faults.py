"""Faults on demand: a client orders failures over HTTP, for a target and a number of times."""

import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.durable_file import write_durably


class InvalidFaultError(ValueError):
    """The definition of a fault is invalid; the message says why."""


@dataclass(frozen=True)
class Mode:
    """The options of a kind of fault."""

    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Fault:
    mode: str
    times: int | None
    """How many more times it occurs; None without a limit."""
    target: str | None
    """The payment, reference or recipient that it applies to; None for all."""
    delay_seconds: float | None = None
    after_bytes: int | None = None
    retry_after_seconds: int | None = None
    then: str | None = None
    loses_answer: bool | None = None

    def matches(self, targets: Collection[str]) -> bool:
        """Texts are compared without regard to case."""
        return self.target is None or self.target.casefold() in {target.casefold() for target in targets}


def _read_seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise InvalidFaultError("delay_seconds must be a number above 0")
    return float(value)


def _read_whole_number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise InvalidFaultError("after_bytes and retry_after_seconds must be whole numbers")
    return value


def _read_result(value: object) -> str:
    if value not in ("succeeded", "failed"):
        raise InvalidFaultError("then must be succeeded or failed")
    return str(value)


def _read_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidFaultError("loses_answer must be true or false")
    return value


OPTIONS: Mapping[str, Callable[[object], Any]] = {
    "delay_seconds": _read_seconds,
    "after_bytes": _read_whole_number,
    "retry_after_seconds": _read_whole_number,
    "then": _read_result,
    "loses_answer": _read_flag,
}


class FaultPlan:
    """The pending faults, oldest first, stored in a file. A call triggers only the first fault that matches it."""

    def __init__(self, path: Path, *, modes: Mapping[str, Mode], target_field: str) -> None:
        self._path = path
        self._modes = modes
        self._target_field = target_field
        self._faults = [Fault(**fault) for fault in json.loads(path.read_text())] if path.exists() else []

    def add(self, document: object) -> Fault:
        """Raises InvalidFaultError."""
        fault = self._read(document)
        self._replace_faults([*self._faults, fault])
        return fault

    def trigger(self, *targets: str, modes: Collection[str] | None = None) -> Fault | None:
        """The fault for a call with these targets, or None. It is counted down on disk before it is returned."""
        for position, fault in enumerate(self._faults):
            if fault.matches(targets) and (modes is None or fault.mode in modes):
                if fault.times is not None:
                    rest = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                    self._replace_faults([*self._faults[:position], *rest, *self._faults[position + 1 :]])
                return fault
        return None

    def clear(self) -> None:
        self._replace_faults([])

    def as_documents(self) -> list[dict[str, Any]]:
        return [self.as_document(fault) for fault in self._faults]

    def as_document(self, fault: Fault) -> dict[str, Any]:
        document = {"mode": fault.mode, "times": fault.times, self._target_field: fault.target}
        options = {name: getattr(fault, name) for name in OPTIONS}
        return document | {name: value for name, value in options.items() if value is not None}

    def _read(self, document: object) -> Fault:
        if not isinstance(document, dict):
            raise InvalidFaultError("a fault is a JSON object")
        if unknown := document.keys() - {"mode", "times", self._target_field, *OPTIONS}:
            raise InvalidFaultError(f"unknown fields: {', '.join(sorted(unknown))}")
        mode, times, target = document.get("mode"), document.get("times"), document.get(self._target_field)
        if not isinstance(mode, str) or mode not in self._modes:
            raise InvalidFaultError(f"mode must be one of: {', '.join(sorted(self._modes))}")
        if times is not None and (type(times) is not int or times < 1):
            raise InvalidFaultError("times must be a whole number of at least 1, or null for no limit")
        if target is not None and (not isinstance(target, str) or not target):
            raise InvalidFaultError(f"{self._target_field} must be a string, or null for all")
        given = {name: value for name, value in document.items() if name in OPTIONS and value is not None}
        return Fault(mode, times, target, **_read_options(mode, self._modes[mode], given))

    def _replace_faults(self, faults: list[Fault]) -> None:
        write_durably(self._path, json.dumps([asdict(fault) for fault in faults]).encode())
        self._faults = faults


def _read_options(name: str, mode: Mode, given: Mapping[str, object]) -> dict[str, Any]:
    if unknown := given.keys() - mode.required - mode.optional:
        raise InvalidFaultError(f"mode {name} has no {', '.join(sorted(unknown))}")
    if missing := mode.required - given.keys():
        raise InvalidFaultError(f"mode {name} needs {', '.join(sorted(missing))}")
    return {option: OPTIONS[option](value) for option, value in given.items()}


def fault_routes(plan: FaultPlan) -> list[Route]:
    """`/sandbox/faults`: POST adds a fault, GET lists the remaining ones, DELETE removes all."""

    async def add_fault(request: Request) -> Response:
        try:
            fault = plan.add(json.loads(await request.body()))
        except ValueError as error:
            return JSONResponse({"error": {"message": str(error)}}, status_code=400)
        return JSONResponse(plan.as_document(fault), status_code=201)

    async def list_faults(_: Request) -> Response:
        return JSONResponse({"faults": plan.as_documents()})

    async def clear_faults(_: Request) -> Response:
        plan.clear()
        return Response(status_code=204)

    return [
        Route("/sandbox/faults", add_fault, methods=["POST"]),
        Route("/sandbox/faults", list_faults, methods=["GET"]),
        Route("/sandbox/faults", clear_faults, methods=["DELETE"]),
    ]
