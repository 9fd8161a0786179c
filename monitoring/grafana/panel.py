"""A panel of a Grafana dashboard, and the form that Grafana reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
GOOD, WATCH, BAD, PLAIN = "green", "orange", "red", "blue"

Json = dict[str, Any]


@dataclass(frozen=True)
class Panel:
    """The properties of one panel; sizes are in Grafana's 24 columns."""

    title: str
    about: str
    queries: tuple[tuple[str, str], ...]
    """Each with its legend."""
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    height: int = 8
    steps: tuple[tuple[float | None, str], ...] = ((None, PLAIN),)
    """From which value on which colour; None: from the start."""
    line: bool = False
    """Show the steps as lines: there is a target."""
    names: tuple[tuple[str, str, str], ...] = ()
    """Value, word and colour."""
    least: float | None = 0
    most: float | None = None
    decimals: int | None = None
    missing: str = "–"
    stacked: bool = False

    def json(self, number: int, x: int, y: int) -> Json:
        """Return the panel as Grafana wants it."""
        instant = self.kind in ("stat", "bargauge", "table")
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.about,
            "datasource": SOURCE,
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "targets": [
                {
                    "refId": chr(65 + place),
                    "datasource": SOURCE,
                    "expr": expr,
                    "legendFormat": legend,
                    "instant": instant,
                    "range": not instant,
                    "format": "heatmap" if self.kind == "heatmap" else "time_series",
                }
                for place, (expr, legend) in enumerate(self.queries)
            ],
            "fieldConfig": {"defaults": self._defaults(), "overrides": []},
            "options": _OPTIONS[self.kind],
        }

    def _defaults(self) -> Json:
        values: Json = {
            "unit": self.unit,
            "noValue": self.missing,
            "color": {"mode": "palette-classic" if self.kind == "timeseries" else "thresholds"},
            "thresholds": {
                "mode": "absolute",
                "steps": [{"value": value, "color": color} for value, color in self.steps],
            },
            "mappings": [
                {
                    "type": "value",
                    "options": {
                        value: {"text": text, "color": color, "index": place}
                        for place, (value, text, color) in enumerate(self.names)
                    },
                }
            ]
            if self.names
            else [],
        }
        values |= {
            name: value
            for name, value in (
                ("min", self.least),
                ("max", self.most),
                ("decimals", self.decimals),
            )
            if value is not None
        }
        if self.kind == "timeseries":
            values["custom"] = {
                "lineWidth": 2,
                "fillOpacity": 20 if self.stacked else 5,
                "showPoints": "never",
                "spanNulls": False,
                "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
                "thresholdsStyle": {"mode": "dashed" if self.line else "off"},
            }
        if self.kind == "state-timeline":
            values["custom"] = {"fillOpacity": 80, "lineWidth": 0}
        return values


_LEGEND = {"displayMode": "list", "placement": "bottom", "showLegend": True}
_OPTIONS: dict[str, Json] = {
    "stat": {
        "colorMode": "background",
        "graphMode": "none",
        "textMode": "auto",
        "justifyMode": "center",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
    "bargauge": {
        "displayMode": "basic",
        "orientation": "horizontal",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
    "timeseries": {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}},
    "state-timeline": {
        "legend": _LEGEND,
        "mergeValues": True,
        "showValue": "never",
        "rowHeight": 0.8,
    },
    "heatmap": {
        "calculate": False,
        "yAxis": {"unit": "s"},
        "color": {"mode": "scheme", "scheme": "Blues", "steps": 32},
        "cellGap": 1,
        "legend": {"show": True},
    },
}
