"""Objects as JSON for keeping: in the feed of events and with finished uploads."""

from __future__ import annotations

import orjson

from baas.storage.model import ObjectSettings, StoredObject


def dump(stored: StoredObject) -> str:
    """JSON of everything but download tokens, which are secrets."""
    return orjson.dumps(
        {
            "bucket": stored.bucket,
            "name": stored.name,
            "generation": stored.generation,
            "metageneration": stored.metageneration,
            "size": stored.size,
            "md5": None if stored.md5 is None else stored.md5.hex(),
            "crc32c": stored.crc32c,
            "values": dict(stored.settings.values),
            "custom": dict(stored.settings.custom),
            "owner": stored.owner,
            "timeCreated": stored.time_created,
            "updated": stored.updated,
            "componentCount": stored.component_count,
        }
    ).decode()


def load(text: str) -> StoredObject:
    """The object that :func:`dump` kept."""
    kept = orjson.loads(text)
    return StoredObject(
        bucket=kept["bucket"],
        name=kept["name"],
        generation=kept["generation"],
        metageneration=kept["metageneration"],
        size=kept["size"],
        md5=None if kept["md5"] is None else bytes.fromhex(kept["md5"]),
        crc32c=kept["crc32c"],
        settings=ObjectSettings(kept["values"], kept["custom"]),
        tokens=(),
        owner=kept["owner"],
        time_created=kept["timeCreated"],
        updated=kept["updated"],
        component_count=kept["componentCount"],
    )
