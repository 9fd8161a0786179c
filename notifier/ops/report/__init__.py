"""The report: the figures of a period, judged by the success metrics."""
