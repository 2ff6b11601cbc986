"""Running a server: the port, TLS, signals, the line that says where it is, and a stop that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvicorn

import baas
from baas.api import port
from baas.api.websocket_frames import FrameLimits, websocket_protocol
from baas.data_folder import DataFolder
from baas.db import schema
from baas.server import opened
from baas.settings import Settings, SettingsError

log = logging.getLogger(__name__)

COLLECTOR = (20_000, 20, 50)
"""Python's own thresholds make it look for cycles ten times as often; requests leave hardly any."""


class _Server(uvicorn.Server):
    """Uvicorn, told by us when to stop, so that a stop that went well exits with status 0."""

    def __init__(
        self,
        config: uvicorn.Config,
        on_started: Callable[[], None],
        on_stop: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._on_stop()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]  # uvicorn's own is a generator too
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        SettingsError, FolderError, OSError: the server cannot start so.
    """
    with DataFolder(settings.data) as folder, contextlib.closing(_bind(settings)) as listening:
        if schema.migrate_sqlite(folder.database):
            log.info("the database in %s has the schema of this version now", folder.path)
        uvicorn_loop().run(_serve(settings, folder, listening))


def uvicorn_loop() -> asyncio.Runner:
    """A runner on the fastest event loop at hand."""
    if sys.platform == "win32":
        return asyncio.Runner()
    import uvloop

    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def _bind(settings: Settings) -> socket.socket:
    """Listen, before anything slow is done, so that a taken port is told at once."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise SettingsError(
            f"port: cannot listen on {settings.host}:{settings.port}: {error.strerror}"
        ) from None
    return listening


async def _serve(settings: Settings, folder: DataFolder, listening: socket.socket) -> None:
    address = _address(settings, listening)
    async with opened(settings, folder, address) as homefire:
        config = uvicorn.Config(
            homefire.app,
            http=port.port_protocol(
                homefire.grpc, homefire.express, max_connections=settings.max_connections
            ),
            ws=websocket_protocol(
                FrameLimits(settings.websocket_max_frames, settings.websocket_frames_per_second)
            ),
            ws_max_size=settings.max_request_bytes,
            ws_ping_interval=settings.websocket_ping_seconds,
            ws_ping_timeout=settings.websocket_ping_seconds,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # who trusts a proxy's headers says so: the setting trusted_proxies
            timeout_graceful_shutdown=round(settings.shutdown_seconds),
            backlog=4096,
        )
        if settings.tls_certificate is not None:
            config.ssl_context_factory = lambda _config, _default: _tls(settings)

        def started() -> None:
            gc.freeze()  # what start-up made stays: the collector need not look at it again
            gc.set_threshold(*COLLECTOR)
            gc.enable()
            _announce(settings, address, folder.path)

        await _Server(config, started, homefire.end_streams).serve([listening])
    log.info("stopped")


def _tls(settings: Settings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    assert settings.tls_certificate is not None
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        files = f"{settings.tls_certificate}, {settings.tls_key}"
        raise SettingsError(f"tls_certificate, tls_key: {files}: {error}") from None
    port.offer_protocols(context)
    return context


def _address(settings: Settings, listening: socket.socket) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    scheme = "https" if settings.tls_certificate else "http"
    return f"{scheme}://{host}:{listening.getsockname()[1]}"


def _announce(settings: Settings, address: str, data: Path) -> None:
    mode = "development mode: never expose this" if settings.dev else "production mode"
    print(f"Homefire {baas.__version__} serves on {address} ({mode}; data in {data})", flush=True)
