"""How a query was run, as protobuf."""

from __future__ import annotations

from typing import Any

from baas.documents.results import ExplainMetrics
from baas.wire import proto


def encode_explain_metrics(metrics: ExplainMetrics) -> Any:
    """An ``ExplainMetrics`` message; without ``execution_stats`` if the query was only planned."""
    from google.protobuf import json_format  # imported when first needed: it is slow to load

    message = proto.ExplainMetrics()
    message.plan_summary.SetInParent()
    for index in metrics.indexes_used:
        json_format.ParseDict(dict(index), message.plan_summary.indexes_used.add())
    if metrics.results_returned is not None:
        stats = message.execution_stats
        stats.results_returned = metrics.results_returned
        stats.read_operations = metrics.read_operations or 0
        stats.execution_duration.nanos = int((metrics.execution_seconds or 0.0) * 1e9) % 10**9
        stats.execution_duration.seconds = int(metrics.execution_seconds or 0.0)
        json_format.ParseDict(dict(metrics.debug_stats), stats.debug_stats)
    return message
