"""The composition root: the only place that knows every room. It builds them and joins them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp

from baas.access.authorize import Authorizer
from baas.access.principal import ANONYMOUS, OWNER, Principal
from baas.access.release_store import ReleaseStore
from baas.access.releases import FIRESTORE, STORAGE, Releases
from baas.access.rule_files import RuleFiles, RulesFileError
from baas.access.storage_rights import StorageRights
from baas.api import gcs_json, gcs_signed, health, identity, storage_rest
from baas.api.assembly import Assembly
from baas.api.client_address import ClientAddresses
from baas.api.edge import Edge
from baas.api.emulator_firestore import EmulatorControl
from baas.api.emulator_storage import StorageEmulatorControl
from baas.api.firestore_rest import Authenticate, FirestoreRest
from baas.api.grpc.firestore import FirestoreGrpc
from baas.api.grpc.health import health_methods
from baas.api.grpc.reflection import reflection_methods
from baas.api.grpc.server import GrpcServer
from baas.api.lazy import LazyApplication
from baas.api.streams import Streams
from baas.api.webchannel.rpcs import firestore_rpcs
from baas.api.webchannel.surface import WebChannel
from baas.api.websocket import WebSocketOptions, WebSocketSurface
from baas.auth.authenticator import Authenticator
from baas.auth.messages import Post, SmtpOptions, SmtpSender
from baas.auth.outgoing import ThreadedOutgoing
from baas.auth.secret_box import SecretBoxError, load_secret_box
from baas.auth.service import AuthService
from baas.auth.service_accounts import list_keys
from baas.auth.sms_webhook import SmsWebhook, SmsWebhookOptions
from baas.auth_settings import auth_options
from baas.data_folder import DataFolder
from baas.db.commit_clock import database_names
from baas.db.sqlite import SqliteDatabase
from baas.db.sqlite_connection import SqliteOptions
from baas.db.unit import Database
from baas.documents.options import DocumentOptions
from baas.documents.queries import query_reader
from baas.documents.service import DocumentStore
from baas.errors import Unauthenticated, Unavailable
from baas.model.document import Document
from baas.model.paths import DatabaseId, DocumentName
from baas.realtime.options import RealtimeOptions
from baas.realtime.service import RealtimeService
from baas.realtime.source import StoreSource
from baas.settings import Settings, SettingsError
from baas.storage.blobs.base import BlobStore
from baas.storage.blobs.filesystem import FilesystemBlobs
from baas.storage.buckets import Buckets
from baas.storage.clearing import clear
from baas.storage.housekeeping import Housekeeping
from baas.storage.options import Quota, StorageOptions
from baas.storage.service import StorageService
from baas.storage.signed_urls import SigningKey
from rules import RulesCompileError

log = logging.getLogger(__name__)

CLOSE_SECONDS = 2.0
"""How long WebSocket clients have to answer the close at shutdown."""


@dataclass(frozen=True, slots=True)
class Homefire:
    """A server that is built and not yet listening."""

    app: ASGIApp
    express: FirestoreRest
    grpc: GrpcServer
    streams: Streams
    webchannel: WebChannel
    websocket: WebSocketSurface

    async def end_streams(self) -> None:
        """Tell endless streams to end, so that the server can stop: clients resume elsewhere."""
        self.streams.close()
        self.webchannel.close()
        self.websocket.close()
        # The server's own close frame must not come first: it says "restart", not "going away".
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.websocket.wait_closed(), CLOSE_SECONDS)


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
        authorizer = Authorizer(
            releases,
            explain=settings.dev,
            open_without_rules=settings.dev,
            projects=None if settings.dev else settings.served_projects,
        )
        auth = _auth(settings, folder, database, address, stack)
        stack.callback(auth.close)
        authenticator = Authenticator(auth)

        documents = DocumentStore(
            database,
            authorizer,
            DocumentOptions(
                change_retention=float(settings.change_retention_seconds),
                query_seconds=settings.query_seconds,
                max_indexes=settings.documents_max_indexes,
            ),
        )
        documents.start()
        stack.push_async_callback(documents.close)

        source = StoreSource(documents, documents.changes.subscribe, query_reader)
        realtime = RealtimeService(
            source,
            authorizer,
            RealtimeOptions(
                max_targets=settings.listen_max_targets,
                merge_bytes=settings.listen_merge_bytes,
                reset_bytes=settings.listen_reset_bytes,
                max_result_bytes=settings.listen_max_result_bytes,
                held_bytes=settings.listen_memory_bytes,
                replayed_changes=settings.listen_replay_changes,
                replayed_bytes=settings.listen_replay_bytes,
            ),
        )
        stack.push_async_callback(realtime.close)
        releases.on_release(realtime.rules_released)
        streams = Streams(documents, realtime, authenticator)

        def end_user(project: str, uid: str) -> None:
            revoked = Unauthenticated("The account's tokens are revoked: sign in again.")
            realtime.end_user(project, uid, revoked)
            streams.end_user(project, uid, revoked)

        auth.context.on_ended(end_user)
        assembly = Assembly()
        grpc = GrpcServer(
            FirestoreGrpc(documents, authenticator, streams, assembly).methods()
            | health_methods(assembly)
            | (reflection_methods(assembly) if settings.dev else {}),
            on_shutdown=streams.close,
        )
        webchannel = WebChannel(
            firestore_rpcs(streams),
            address_of=ClientAddresses(settings.trusted_proxies),
            assembly=assembly,
        )

        async def principal_of(token: str | None, project: str) -> Principal:
            if token is None:
                return ANONYMOUS
            return await authenticator.principal_of_token(token, project)

        websocket = WebSocketSurface(
            documents,
            realtime,
            principal_of,
            WebSocketOptions(
                max_commits=settings.websocket_max_commits,
                max_commit_bytes=settings.websocket_max_commit_bytes,
                max_frames=settings.websocket_max_frames,
                frames_per_second=settings.websocket_frames_per_second,
                slow_seconds=settings.websocket_slow_seconds,
            ),
        )
        stack.push_async_callback(webchannel.aclose)

        storage = await _storage(settings, folder, database, authorizer, documents, stack)

        async def ready() -> None:
            await database.read(lambda tx: tx.one("SELECT 1"))

        authenticate = authenticator.principal
        firestore = FirestoreRest(documents, authenticate, assembly)
        routes: list[BaseRoute] = [
            *firestore.routes(),
            *websocket.routes(),
            *webchannel.routes(),
            *storage_rest.routes(storage, authenticate),
            *gcs_json.routes(storage, authenticate, anonymous_is_admin=settings.dev),
            *identity.routes(auth, authenticator, assembly),
            *health.routes(ready),
        ]
        if settings.dev:
            routes += _emulator_control(releases, documents, auth, storage)
        routes += gcs_signed.routes(
            storage, _SigningKeyRing(database), anonymous_is_admin=settings.dev
        )

        def figures() -> Iterator[tuple[str, str, str, float]]:
            return _figures(database, realtime, webchannel, websocket)

        admin = LazyApplication(
            lambda: _admin(
                release_store, documents, figures, authenticate, settings.project, assembly
            )
        )
        app = Edge(Router(routes, default=admin))
        yield Homefire(app, firestore, grpc, streams, webchannel, websocket)


def _emulator_control(
    releases: Releases, documents: DocumentStore, auth: AuthService, storage: StorageService
) -> list[BaseRoute]:
    """What test tools call in development."""

    async def reset(project: str) -> None:
        releases.withdraw(project)
        for name in await storage.database.read(lambda tx: database_names(tx, project)):
            await documents.clear_database(DatabaseId(project, name))
        await auth.configs.reset(project)
        auth.outbox.forget(project)
        await clear(storage, project)

    return [
        *EmulatorControl(releases, documents.clear_database, reset).routes(),
        *StorageEmulatorControl(releases, storage).routes(),
    ]


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


def _admin(
    store: ReleaseStore,
    documents: DocumentStore,
    figures: Callable[[], Iterator[tuple[str, str, str, float]]],
    authenticate: Authenticate,
    project: str,
    assembly: Assembly,
) -> ASGIApp:
    from baas.api import admin  # imported when first asked for: it loads FastAPI

    return admin.application(store, documents, figures, authenticate, project, assembly)


def _figures(
    database: SqliteDatabase,
    realtime: RealtimeService,
    webchannel: WebChannel,
    websocket: WebSocketSurface,
) -> Iterator[tuple[str, str, str, float]]:
    """What ``/metrics`` tells."""
    now = realtime.metrics()
    writes, reads = database.waiting
    yield "listen_streams", "gauge", "Open Listen streams.", now.streams
    yield "listen_targets", "gauge", "Targets that streams have open.", now.targets
    yield "listen_views", "gauge", "Query views, each shared by its listeners.", now.views
    yield "listen_pending_bytes", "gauge", "Bytes that readers have not taken.", now.pending_bytes
    yield "listen_held_bytes", "gauge", "Results that are read, kept or waiting.", now.held_bytes
    yield "listen_merges", "counter", "Merges for slow readers.", now.merges
    yield "listen_resets", "counter", "Resets for slow readers.", now.resets
    yield "websocket_connections", "gauge", "Open WebSockets.", websocket.connections
    yield "webchannel_sessions", "gauge", "Open WebChannel sessions.", webchannel.sessions
    yield "database_writes_waiting", "gauge", "Units that wait for the writer.", writes
    yield "database_reads_waiting", "gauge", "Units that wait for a reader.", reads


def _auth(
    settings: Settings,
    folder: DataFolder,
    database: SqliteDatabase,
    address: str,
    stack: contextlib.AsyncExitStack,
) -> AuthService:
    configured = settings.secret_key.get_secret_value() if settings.secret_key else None
    try:
        secrets = load_secret_box(folder.path, configured)
    except SecretBoxError as error:
        raise SettingsError(f"secret_key: {error}") from None
    mail = None
    if settings.smtp_host:
        smtp = SmtpOptions(
            settings.smtp_host,
            settings.smtp_port,
            settings.smtp_user,
            settings.smtp_password.get_secret_value() if settings.smtp_password else "",
            settings.smtp_sender,
            settings.smtp_tls,
        )
        mail = Post(SmtpSender(smtp))
        stack.push_async_callback(mail.close)
    elif not settings.dev:
        log.warning("no smtp_host: what needs a mail (resetting passwords, ...) is UNAVAILABLE")
    options = auth_options(settings, address)
    return AuthService(database, options, secrets, mail=mail, sms=_sms(settings, stack))


def _sms(settings: Settings, stack: contextlib.AsyncExitStack) -> SmsWebhook | None:
    if settings.sms_webhook_url is None:
        return None
    if settings.sms_webhook_secret is None:
        raise SettingsError("sms_webhook_secret: requests to sms_webhook_url are signed with it")
    outgoing = ThreadedOutgoing()
    stack.callback(outgoing.close)
    secret = settings.sms_webhook_secret.get_secret_value()
    return SmsWebhook(SmsWebhookOptions(settings.sms_webhook_url, secret), outgoing, time.time)


async def _storage(
    settings: Settings,
    folder: DataFolder,
    database: SqliteDatabase,
    authorizer: Authorizer,
    documents: DocumentStore,
    stack: contextlib.AsyncExitStack,
) -> StorageService:
    blobs = blob_store(settings, folder)
    try:
        await blobs.start()
    except Unavailable as error:
        raise SettingsError(f"storage_url: {error.message}") from None
    stack.push_async_callback(blobs.close)
    options = StorageOptions(
        project=settings.project,
        buckets=dict.fromkeys(settings.buckets, settings.project),
        public_url=settings.public_url,
        any_bucket=settings.dev,
        max_object_bytes=settings.max_upload_bytes,
        bucket_quota=Quota(bytes=settings.bucket_quota_bytes),
        user_quota=Quota(bytes=settings.user_quota_bytes),
        presigned_downloads=settings.presigned_downloads,
        presigned_uploads=settings.presigned_uploads,
    )

    async def lookup(name: DocumentName) -> Document | None:
        return (await documents.get(name, OWNER)).value

    rights = StorageRights(authorizer, Buckets(database, options).project_of, lookup)
    service = StorageService(database, blobs, rights, options)
    stack.push_async_callback(service.close)
    tending = asyncio.create_task(Housekeeping(service).run(), name="storage-housekeeping")
    stack.push_async_callback(_cancelled, tending)
    return service


def blob_store(settings: Settings, folder: DataFolder) -> BlobStore:
    """Where objects are kept, by the settings.

    Raises:
        SettingsError: the address of the storage is malformed.
    """
    if settings.storage_url is None:
        return FilesystemBlobs(folder.objects)
    # Imported where it is used: the package costs a third of a second at start.
    from baas.storage.blobs.minio import MinioBlobs, MinioOptions

    try:
        secret = settings.storage_secret_key
        return MinioBlobs(
            MinioOptions.from_url(
                settings.storage_url.get_secret_value(),
                access_key=settings.storage_access_key,
                secret_key=secret.get_secret_value() if secret else None,
            )
        )
    except ValueError as error:
        raise SettingsError(f"storage_url: {error}") from None


class _SigningKeyRing:
    """Service accounts as signers of storage addresses, with each of their keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, access_id: str) -> list[SigningKey]:
        """See :class:`baas.storage.signed_urls.SigningKeys`."""
        return [
            SigningKey(key.project, key.role, public_key=key.public_key.encode())
            for key in await list_keys(self._database)
            if key.client_email == access_id
        ]


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
