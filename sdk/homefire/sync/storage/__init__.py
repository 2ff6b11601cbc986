"""Files in buckets: the twin of ``firebase/storage``."""

from __future__ import annotations

from homefire.errors import StorageError
from homefire.storage._metadata import FullMetadata, SettableMetadata
from homefire.sync.storage._operations import (
    ListOptions,
    ListResult,
    UploadResult,
    delete_object,
    get_bytes,
    get_download_url,
    get_metadata,
    list_all,
    update_metadata,
    upload_bytes,
    upload_string,
)
from homefire.sync.storage._operations import list_ as list
from homefire.sync.storage._storage import (
    FirebaseStorage,
    StorageReference,
    connect_storage_emulator,
    get_storage,
    ref,
)
from homefire.sync.storage._upload_task import (
    UploadTask,
    UploadTaskSnapshot,
    upload_bytes_resumable,
)

__all__ = [
    "FirebaseStorage",
    "FullMetadata",
    "ListOptions",
    "ListResult",
    "SettableMetadata",
    "StorageError",
    "StorageReference",
    "UploadResult",
    "UploadTask",
    "UploadTaskSnapshot",
    "connect_storage_emulator",
    "delete_object",
    "get_bytes",
    "get_download_url",
    "get_metadata",
    "get_storage",
    "list",
    "list_all",
    "ref",
    "update_metadata",
    "upload_bytes",
    "upload_bytes_resumable",
    "upload_string",
]
