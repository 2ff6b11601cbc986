"""How a query was run, as proto3-JSON (``google.firestore.v1.ExplainMetrics``)."""

from __future__ import annotations

from typing import Any

from baas.documents.results import ExplainMetrics


def explain_metrics_to_json(metrics: ExplainMetrics) -> dict[str, Any]:
    """An ``ExplainMetrics`` message; without ``executionStats`` if the query was only planned."""
    message: dict[str, Any] = {
        "planSummary": {"indexesUsed": [dict(index) for index in metrics.indexes_used]}
    }
    if metrics.results_returned is not None:
        message["executionStats"] = {
            "resultsReturned": str(metrics.results_returned),
            "executionDuration": f"{metrics.execution_seconds or 0.0:.6f}s",
            "readOperations": str(metrics.read_operations or 0),
            "debugStats": dict(metrics.debug_stats),
        }
    return message
