"""The reference implementations of the benchmarks do what the gateway does, so that the benchmarks can compare them."""

import pytest
from benchmarks import gateways
from benchmarks.operations import LIST, PLACE, READ, SHIP

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def test_the_limit_and_the_naive_gateway_answer_and_write_what_the_gateway_does() -> None:
    with gateways.servers() as (bench, product, limit, naive):
        for operation in (READ, LIST, PLACE):
            bench.compare(operation, product, limit)
        bench.compare(SHIP, product, limit, naive)
