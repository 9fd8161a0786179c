"""The report as one HTML file, without scripts and network."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from notifier.html import content_policy, own_file, page_templates, source_hash
from notifier.ops.report.charts import HEIGHT, charts_of
from notifier.ops.report.figures import Figures
from notifier.ops.report.success import success_metrics
from notifier.ops.report.tables import sections_of, trend_of

_STYLE = own_file(__package__, "report.css")
_TEMPLATE = page_templates(__package__).get_template("report.html")


def report_page(figures: Figures) -> str:
    """Return the page; the same figures give the same page."""
    metrics = success_metrics(figures)
    return _TEMPLATE.render(
        style=_STYLE,
        policy=content_policy(style_src=source_hash(_STYLE)),
        figures=figures,
        zone=ZoneInfo(figures.period.time_zone),
        metrics=metrics,
        judged=sum(metric.met is not None for metric in metrics),
        met=sum(metric.met is True for metric in metrics),
        charts=charts_of(figures) if figures.all.total else (),
        trend=trend_of(figures),
        sections=sections_of(figures),
        height=HEIGHT,
    )
