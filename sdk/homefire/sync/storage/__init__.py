"""Files in buckets: the twin of ``firebase/storage``."""

from __future__ import annotations

from homefire.errors import StorageError
from homefire.storage._metadata import FullMetadata, SettableMetadata
from homefire.sync.storage._operations import (
    ListOptions,
    ListResult,
    UploadProgress,
    UploadResult,
    delete_object,
    get_bytes,
    get_download_url,
    get_metadata,
    list_all,
    update_metadata,
    upload_bytes,
    upload_bytes_resumable,
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

__all__ = [
    "FirebaseStorage",
    "FullMetadata",
    "ListOptions",
    "ListResult",
    "SettableMetadata",
    "StorageError",
    "StorageReference",
    "UploadProgress",
    "UploadResult",
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
