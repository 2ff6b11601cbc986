"""What an operator can set about object storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Quota:
    """Bounds of a bucket or of a user's share of one; ``None``: none."""

    bytes: int | None = None
    objects: int | None = None


@dataclass(frozen=True, slots=True)
class StorageOptions:
    """Limits are per server unless said otherwise; times are in seconds, sizes in bytes."""

    project: str = "demo-project"
    """The project whose default buckets, ``<project>.appspot.com`` and ``.firebasestorage.app``, exist."""
    buckets: Mapping[str, str] = field(default_factory=dict)
    """More buckets that exist, and the project of each."""
    public_url: str | None = None
    """Where clients reach this server, for addresses in its answers; ``None``: where the request went."""
    any_bucket: bool = False
    """Development: every well-formed bucket name exists."""

    max_object_bytes: int = 64 * GIB
    max_custom_metadata_bytes: int = 8 * 1024
    max_metadata_json_bytes: int = 64 * 1024
    max_tokens: int = 100
    """Download tokens of one object."""
    max_list_results: int = 1_000
    max_concurrent_uploads: int = 512
    max_open_uploads: int = 10_000
    """Resumable uploads that are begun and not finished."""
    upload_lifetime: float = 7 * 24 * 3600
    """How long a resumable upload may be gone on with."""
    flatten_above_segments: int = 64
    """A finished upload in more chunks than this is copied into one blob."""

    chunk_timeout: float = 30.0
    """How long a client may send nothing in the middle of an upload."""
    rate_window: float = 60.0
    """How often an upload's rate is looked at."""
    min_bytes_per_window: int = 4 * 1024
    """What a client must send in each window, so that no trickle holds a connection for days."""

    bucket_quota: Quota = Quota()
    user_quota: Quota = Quota()
    """Of each user in each bucket, by who wrote the object last."""

    event_retention: float = 7 * 24 * 3600
    sweep_interval: float = 3600.0
    sweep_grace: float = 3600.0
    """A blob that nothing names is garbage when it is older than this."""

    presigned_downloads: bool = False
    """Redirect downloads to the blob backend where it can sign such an address."""
    presigned_uploads: bool = False
    """Offer the blob backend's own address to uploads that ask for it."""
    presigned_lifetime: float = 300.0

    @property
    def has_quotas(self) -> bool:
        """Whether there is any quota to hold to."""
        return self.bucket_quota != Quota() or self.user_quota != Quota()

    def project_of(self, bucket: str) -> str | None:
        """The project of a bucket that exists by these settings; ``None`` if none does."""
        if bucket in self.buckets:
            return self.buckets[bucket]
        for suffix in (".appspot.com", ".firebasestorage.app"):
            if bucket == self.project + suffix:
                return self.project
            if self.any_bucket and bucket.endswith(suffix) and len(bucket) > len(suffix):
                return bucket.removesuffix(suffix)
        return bucket if self.any_bucket else None
