"""The address of a database."""

from common.database.address.percent_encoding import InvalidAddress
from common.database.address.url import DatabaseAddress, parse_address

__all__ = ["DatabaseAddress", "InvalidAddress", "parse_address"]
