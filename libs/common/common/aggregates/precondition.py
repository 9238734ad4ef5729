"""The version that a client requires of an aggregate: `If-Match` and `If-None-Match` (RFC 9110, 13.1; ADR 31)."""

from dataclasses import dataclass

from common.errors import Code, Problem

# `*`, which matches every version; no entity tag is equal to it, because they have quotation marks.
ANY = "*"


def entity_tag(version: int) -> str:
    """The strong tag of this version, such as `"7"`: a client can make it from the member `version` of a body."""
    return f'"{version}"'


@dataclass(frozen=True, slots=True)
class Precondition:
    """The tags of which the current one must be one (`matching`), or must not be one (`not_matching`); None is no
    condition. Weak tags match by `not_matching` only, where they are without their `W/`."""

    matching: frozenset[str] | None = None
    not_matching: frozenset[str] | None = None

    def check(self, version: int) -> None:
        """Of a change, under the lock of the aggregate. Raises `Problem` PRECONDITION_FAILED."""
        self.check_matching(version)
        if self.is_unchanged(version):
            raise _failed(version)

    def check_matching(self, version: int) -> None:
        """Of a reading request. Raises `Problem` PRECONDITION_FAILED."""
        if self.matching is not None and self.matching.isdisjoint((entity_tag(version), ANY)):
            raise _failed(version)

    def is_unchanged(self, version: int) -> bool:
        """Whether the client says that it has this version already."""
        return self.not_matching is not None and not self.not_matching.isdisjoint((entity_tag(version), ANY))


UNCONDITIONAL = Precondition()


def _failed(version: int) -> Problem:
    message = f"The current version is {version}, which the condition of the request excludes."
    return Problem(Code.PRECONDITION_FAILED, message, {"current_version": version})
