"""The forms of queries that panels share: rates, latest values of a database, and percentiles."""

from generators.dashboards.panels import Query


def per_second(counter: str, by: str, legend: str | None = None) -> Query:
    """The rate of a counter, summed over the processes, for each value of the labels in `by`."""
    return Query(f"sum by ({by}) (rate({counter}[1m]))", legend or _legend(by))


def in_the_last_hour(counter: str, by: str, legend: str | None = None) -> Query:
    return Query(f"sum by ({by}) (increase({counter}[1h]))", legend or _legend(by))


def latest(gauge: str, by: str, legend: str | None = None) -> Query:
    """A gauge that several processes read from one database: the maximum, not the sum."""
    return Query(f"max by ({by}) ({gauge})", legend or _legend(by))


def in_all(gauge: str, by: str, legend: str | None = None) -> Query:
    """A gauge of which each process has its own part."""
    return Query(f"sum by ({by}) ({gauge})", legend or _legend(by))


def p95(histogram: str, by: str, selector: str = "", legend: str | None = None) -> Query:
    series = f"{histogram}_bucket{{{selector}}}" if selector else f"{histogram}_bucket"
    return Query(f"histogram_quantile(0.95, sum by ({by}, le) (rate({series}[5m])))", legend or _legend(by))


def _legend(by: str) -> str:
    return " ".join(f"{{{{{label.strip()}}}}}" for label in by.split(","))
