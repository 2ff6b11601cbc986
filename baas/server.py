"""The composition root: the only place that knows every room. It builds them, joins them, and runs them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp

import baas
from baas.access.authorize import Authorizer
from baas.access.principal import ANONYMOUS, OWNER, Principal
from baas.access.release_store import ReleaseStore
from baas.access.releases import FIRESTORE, STORAGE, Releases
from baas.access.rule_files import RuleFiles, RulesFileError
from baas.access.storage_rights import StorageRights
from baas.api import health, identity, port, storage_rest
from baas.api.edge import Edge
from baas.api.emulator_firestore import EmulatorControl
from baas.api.firestore_rest import Authenticate, FirestoreRest
from baas.api.grpc.firestore import FirestoreGrpc
from baas.api.grpc.server import GrpcServer
from baas.api.lazy import LazyApplication
from baas.api.streams import Streams
from baas.api.webchannel.rpcs import firestore_rpcs
from baas.api.webchannel.surface import WebChannel
from baas.api.websocket import WebSocketSurface
from baas.api.websocket_frames import FrameSharingProtocol
from baas.auth.authenticator import Authenticator
from baas.auth.options import AuthOptions
from baas.auth.secret_box import SecretBoxError, load_secret_box
from baas.auth.service import AuthService
from baas.data_folder import DataFolder
from baas.db import schema
from baas.db.sqlite import SqliteDatabase, SqliteOptions
from baas.documents.options import DocumentOptions
from baas.documents.queries import query_reader
from baas.documents.service import DocumentStore
from baas.errors import Unavailable
from baas.model.document import Document
from baas.model.paths import DocumentName
from baas.realtime.service import RealtimeService
from baas.realtime.source import StoreSource
from baas.settings import Settings, SettingsError
from baas.storage.blobs.base import BlobStore
from baas.storage.blobs.filesystem import FilesystemBlobs
from baas.storage.buckets import Buckets
from baas.storage.options import StorageOptions
from baas.storage.service import StorageService
from rules import RulesCompileError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Homefire:
    """A server that is built and not yet listening."""

    app: ASGIApp
    grpc: GrpcServer
    streams: Streams
    webchannel: WebChannel
    websocket: WebSocketSurface

    async def end_streams(self) -> None:
        """Tell endless streams to end, so that the server can stop: clients resume elsewhere."""
        self.streams.close()
        self.webchannel.close()
        self.websocket.close()


@contextlib.asynccontextmanager
async def opened(settings: Settings, folder: DataFolder, address: str) -> AsyncIterator[Homefire]:
    """Build the rooms over a locked data folder; leaving closes them in the opposite order.

    Raises:
        SettingsError: rules do not compile, or a secret or a backend cannot be used.
    """
    async with contextlib.AsyncExitStack() as stack:
        database = await SqliteDatabase.open(
            folder.database,
            SqliteOptions(readers=settings.sqlite_readers, cache_kib=settings.sqlite_cache_kib),
        )
        stack.push_async_callback(database.close)

        releases = Releases()
        await _load_rules(settings, releases, stack)
        release_store = ReleaseStore(database, releases)
        await _load_deployed_rules(release_store)
        authorizer = Authorizer(releases, explain=settings.dev, open_without_rules=settings.dev)
        auth = _auth(settings, folder, database, address)
        stack.callback(auth.close)
        authenticator = Authenticator(auth)

        documents = DocumentStore(
            database,
            authorizer,
            DocumentOptions(change_retention=float(settings.change_retention_seconds)),
        )

        source = StoreSource(documents, documents.changes.subscribe, query_reader)
        realtime = RealtimeService(source, authorizer)
        stack.push_async_callback(realtime.close)
        releases.on_release(realtime.rules_released)
        streams = Streams(documents, realtime, authenticator)
        grpc = GrpcServer(
            FirestoreGrpc(documents, authenticator, streams).methods(), on_shutdown=streams.close
        )
        webchannel = WebChannel(firestore_rpcs(streams))

        async def principal_of(token: str | None, project: str) -> Principal:
            if token is None:
                return ANONYMOUS
            return await authenticator.principal_of_token(token, project)

        websocket = WebSocketSurface(documents, realtime, principal_of)
        stack.push_async_callback(webchannel.aclose)

        storage = await _storage(settings, folder, database, authorizer, documents, stack)

        async def ready() -> None:
            await database.read(lambda tx: tx.one("SELECT 1"))

        async def reset(project: str) -> None:
            releases.withdraw(project)

        routes: list[BaseRoute] = [
            *FirestoreRest(documents, authenticator.principal).routes(),
            *websocket.routes(),
            *webchannel.routes(),
            *storage_rest.routes(storage, authenticator.principal),
            *identity.routes(auth),
            *health.routes(ready),
        ]
        if settings.dev:
            routes += EmulatorControl(releases, documents.clear_database, reset).routes()
        admin = LazyApplication(lambda: _admin(release_store, authenticator.principal))
        app = Edge(Router(routes, default=admin))
        yield Homefire(app, grpc, streams, webchannel, websocket)


async def _load_rules(
    settings: Settings, releases: Releases, stack: contextlib.AsyncExitStack
) -> None:
    """Release what the rules files say, and keep looking at them where that is wanted."""
    named = {FIRESTORE: settings.rules, STORAGE: settings.storage_rules}
    files = RuleFiles({service: path for service, path in named.items() if path}, releases)
    try:
        files.load()
    except RulesFileError as error:
        raise SettingsError(str(error)) from None
    for service, path in named.items():
        if path is None:
            verdict = "everyone may do everything" if settings.dev else "everything is denied"
            log.warning("no rules for %s: %s", service, verdict)
    if settings.rules_reload if settings.rules_reload is not None else settings.dev:
        watching = asyncio.create_task(files.watch(), name="rules-files")
        stack.push_async_callback(_cancelled, watching)


async def _load_deployed_rules(store: ReleaseStore) -> None:
    try:
        await store.load()
    except RulesCompileError as error:
        raise SettingsError(
            f"rules: a deployed ruleset does not compile any more: {error.render()}"
        ) from None


def _admin(store: ReleaseStore, authenticate: Authenticate) -> ASGIApp:
    from baas.api import admin  # imported when first asked for: it loads FastAPI

    return admin.application(store, authenticate)


def _auth(
    settings: Settings, folder: DataFolder, database: SqliteDatabase, address: str
) -> AuthService:
    configured = settings.secret_key.get_secret_value() if settings.secret_key else None
    try:
        secrets = load_secret_box(folder.path, configured)
    except SecretBoxError as error:
        raise SettingsError(f"secret_key: {error}") from None
    options = AuthOptions(
        dev=settings.dev,
        default_project=settings.project,
        public_url=settings.public_url or address,
    )
    return AuthService(database, options, secrets)


async def _storage(
    settings: Settings,
    folder: DataFolder,
    database: SqliteDatabase,
    authorizer: Authorizer,
    documents: DocumentStore,
    stack: contextlib.AsyncExitStack,
) -> StorageService:
    blobs = _blobs(settings, folder)
    try:
        await blobs.start()
    except Unavailable as error:
        raise SettingsError(f"storage_url: {error.message}") from None
    stack.push_async_callback(blobs.close)
    options = StorageOptions(
        project=settings.project,
        buckets=dict.fromkeys(settings.buckets, settings.project),
        any_bucket=settings.dev,
        max_object_bytes=settings.max_upload_bytes,
    )

    async def lookup(name: DocumentName) -> Document | None:
        return (await documents.get(name, OWNER)).value

    rights = StorageRights(authorizer, Buckets(database, options).project_of, lookup)
    service = StorageService(database, blobs, rights, options)
    stack.push_async_callback(service.close)
    return service


def _blobs(settings: Settings, folder: DataFolder) -> BlobStore:
    if settings.storage_url is None:
        return FilesystemBlobs(folder.objects)
    # Imported where it is used: the package costs a third of a second at start.
    from baas.storage.blobs.minio import MinioBlobs, MinioOptions

    try:
        return MinioBlobs(MinioOptions.from_url(settings.storage_url.get_secret_value()))
    except ValueError as error:
        raise SettingsError(f"storage_url: {error}") from None


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


# Running


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
            http=port.port_protocol(homefire.grpc),
            ws=FrameSharingProtocol,
            ws_max_size=settings.max_request_bytes,
            ws_ping_interval=20,
            ws_ping_timeout=20,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=round(settings.shutdown_seconds),
            backlog=4096,
        )
        if settings.tls_certificate is not None:
            config.ssl_context_factory = lambda _config, _default: _tls(settings)

        def started() -> None:
            gc.freeze()  # what start-up made stays: the collector need not look at it again
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
        raise SettingsError(f"tls_certificate, tls_key: {error}") from None
    port.offer_protocols(context)
    return context


def _address(settings: Settings, listening: socket.socket) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    scheme = "https" if settings.tls_certificate else "http"
    return f"{scheme}://{host}:{listening.getsockname()[1]}"


def _announce(settings: Settings, address: str, data: Path) -> None:
    mode = "development mode: never expose this" if settings.dev else "production mode"
    print(f"Homefire {baas.__version__} serves on {address} ({mode}; data in {data})", flush=True)
