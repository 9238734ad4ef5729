"""The parts of a Grafana dashboard: rows of panels with queries, and the JSON document that Grafana provisions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

GRID_WIDTH = 24
CHART_HEIGHT, STAT_HEIGHT = 8, 4
_DATASOURCE = {"type": "prometheus", "uid": "prometheus"}


@dataclass(frozen=True)
class Query:
    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """A chart over time. `unit` is Grafana's name of the unit of every query."""

    title: str
    unit: str
    description: str
    queries: Sequence[Query]
    width: int = 8

    def document(self) -> dict[str, Any]:
        style = {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}
        return {
            "type": "timeseries",
            "fieldConfig": {"defaults": {"unit": self.unit, "min": 0, "custom": style}, "overrides": []},
            "options": {
                "legend": {"displayMode": "list", "placement": "bottom"},
                "tooltip": {"mode": "multi", "sort": "desc"},
            },
            "targets": list(_targets(self.queries)),
        }


@dataclass(frozen=True)
class Stat(Panel):
    """The latest value as a number; red from `red_from` on, or below it if `is_red_below`."""

    width: int = 4
    red_from: float | None = None
    is_red_below: bool = False

    def document(self) -> dict[str, Any]:
        defaults: dict[str, Any] = {
            "unit": self.unit,
            "noValue": "-" if self.unit == "percentunit" else "0",
            "thresholds": {"mode": "absolute", "steps": self._steps()},
        }
        reduction = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        return {
            "type": "stat",
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "options": {"colorMode": "value", "graphMode": "none", "reduceOptions": reduction},
            "targets": [{**target, "instant": True} for target in _targets(self.queries)],
        }

    def _steps(self) -> list[dict[str, Any]]:
        if self.red_from is None:
            return [{"color": "green", "value": None}]
        first, then = ("red", "green") if self.is_red_below else ("green", "red")
        return [{"color": first, "value": None}, {"color": then, "value": self.red_from}]


@dataclass(frozen=True)
class Row:
    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Dashboard:
    """`name` is the name of its file."""

    name: str
    title: str
    description: str
    rows: Sequence[Row] = field(default_factory=tuple)

    def document(self) -> dict[str, Any]:
        return {
            "uid": f"articurated-{self.name}",
            "title": self.title,
            "description": self.description,
            "tags": ["articurated"],
            "timezone": "browser",
            "schemaVersion": 39,
            "version": 1,
            "editable": False,
            "refresh": "5s",
            "time": {"from": "now-30m", "to": "now"},
            "links": [
                {"type": "dashboards", "title": "Dashboards", "tags": ["articurated"], "asDropdown": False},
            ],
            "annotations": {"list": [_ALERTS]},
            "templating": {"list": []},
            "panels": list(self._placed()),
        }

    def _placed(self) -> Iterator[dict[str, Any]]:
        """Panels from left to right; a panel without room begins a new line."""
        number, top = 1, 0
        for row in self.rows:
            place = {"h": 1, "w": GRID_WIDTH, "x": 0, "y": top}
            yield {
                "id": number, "type": "row", "title": row.title, "collapsed": False, "gridPos": place, "panels": [],
            }  # fmt: skip
            number, top, left, height = number + 1, top + 1, 0, 0
            for panel in row.panels:
                if left + panel.width > GRID_WIDTH:
                    top, left, height = top + height, 0, 0
                own_height = STAT_HEIGHT if isinstance(panel, Stat) else CHART_HEIGHT
                place = {"h": own_height, "w": panel.width, "x": left, "y": top}
                shown = {"title": panel.title, "description": panel.description, "datasource": _DATASOURCE}
                yield {"id": number, "gridPos": place, **shown, **panel.document()}
                number, left, height = number + 1, left + panel.width, max(height, own_height)
            top += height


def _targets(queries: Sequence[Query]) -> Iterator[dict[str, Any]]:
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        yield {"refId": letter, "datasource": _DATASOURCE, "expr": query.expression, "legendFormat": query.legend}


_ALERTS = {
    "name": "Alerts",
    "datasource": _DATASOURCE,
    "enable": True,
    "iconColor": "red",
    "expr": 'ALERTS{alertstate="firing"}',
    "titleFormat": "{{alertname}}",
    "textFormat": "{{service}} {{role}}",
}
