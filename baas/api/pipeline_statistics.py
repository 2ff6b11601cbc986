"""What executing a pipeline took, as text: the payload of ``google.firestore.v1.ExplainStats``.

Google publishes the message, not the text; the words ``Execution:`` and the two formats are what its clients'
own tests ask for.
"""

from __future__ import annotations

from typing import Any

import orjson

from baas.documents.results import PipelineResult, PipelineScan
from baas.wire.requests import PipelineExplain


def statistics_text(result: PipelineResult[Any], explain: PipelineExplain) -> str:
    """Lines for people, or one JSON object with the same."""
    if explain is PipelineExplain.JSON:
        return orjson.dumps(_object(result)).decode()
    lines = [
        "Execution:",
        f"  results returned: {len(result.rows)}",
        f"  execution duration: {result.execution_seconds * 1000:.3f} ms",
        f"  documents read by name: {result.documents_got}",
    ]
    for scan in result.scans:
        lines += [
            f"  scan of {scan.collection}",
            f"    indexes used: {_indexes(scan) or 'none'}",
            f"    documents scanned: {scan.documents_scanned}",
            f"    index entries scanned: {scan.index_entries_scanned}",
        ]
    return "\n".join(lines) + "\n"


def _object(result: PipelineResult[Any]) -> dict[str, Any]:
    return {
        "execution": {
            "resultsReturned": len(result.rows),
            "executionDuration": f"{result.execution_seconds:.6f}s",
            "documentsReadByName": result.documents_got,
        },
        "scans": [
            {
                "collection": scan.collection,
                "indexesUsed": [dict(index) for index in scan.indexes_used],
                "documentsScanned": scan.documents_scanned,
                "indexEntriesScanned": scan.index_entries_scanned,
            }
            for scan in result.scans
        ],
    }


def _indexes(scan: PipelineScan) -> str:
    return ", ".join(str(index.get("properties", index)) for index in scan.indexes_used)
