"""Figures of the running server in Prometheus' text form, for administrators."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated

from fastapi import APIRouter, Header
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from starlette.responses import Response

from baas.access.principal import Principal
from baas.errors import PermissionDenied, Unauthenticated

Authenticate = Callable[[str | None, str], Awaitable[Principal]]
Figures = Callable[[], Iterable[tuple[str, str, str, float]]]
"""Gives (name, "gauge" or "counter", what it says, value) of every figure, now."""


class _Figures(Collector):
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        for name, kind, meaning, value in self._figures():
            family = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
            metric = family(f"homefire_{name}", meaning)
            metric.add_metric([], value)
            yield metric


def router(figures: Figures, authenticate: Authenticate, project: str) -> APIRouter:
    """``GET /metrics``: needs a service account of the default project."""
    registry = CollectorRegistry()
    registry.register(_Figures(figures))
    routes = APIRouter(tags=["metrics"])

    @routes.get("/metrics")
    async def metrics(authorization: Annotated[str | None, Header()] = None) -> Response:
        """Streams, targets, shared views, queues, merges; uploads; uptime."""
        principal = await authenticate(authorization, project)
        if not principal.bypasses_rules:
            if principal.uid is None:
                raise Unauthenticated("This call needs the access token of a service account.")
            raise PermissionDenied("This call is for service accounts only.")
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return routes
