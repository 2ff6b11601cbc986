"""Our message definitions against Google's own, where its client library is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from baas.wire import proto

GOOGLE = pytest.importorskip(
    "google.cloud.firestore_v1.types", reason="google-cloud-firestore is not installed"
)
ROOT = Path(__file__).resolve().parents[3]


def google_descriptors() -> list[Any]:
    top = [getattr(GOOGLE, name) for name in GOOGLE.__all__]
    return [each.pb().DESCRIPTOR for each in top if hasattr(each, "pb")]


def all_messages(descriptor: Any) -> list[Any]:
    nested = [inner for each in descriptor.nested_types for inner in all_messages(each)]
    return [descriptor, *nested]


MESSAGES = {
    each.full_name: each
    for top in google_descriptors()
    for each in all_messages(top)
    if each.full_name.startswith("google.firestore.v1.")
}


def shape(descriptor: Any) -> dict[str, tuple[Any, ...]]:
    """Number, type, repetition and oneof of every field, by its name on the wire."""
    return {
        field.json_name.rstrip("_"): (
            field.number,
            field.type,
            field.is_repeated,
            field.message_type.full_name if field.message_type else None,
            sorted((v.name, v.number) for v in field.enum_type.values) if field.enum_type else None,
            field.containing_oneof.name if field.containing_oneof else None,
        )
        for field in descriptor.fields
    }


def test_there_is_something_to_compare() -> None:
    assert len(MESSAGES) > 60


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_every_field_is_as_published(name: str) -> None:
    ours = shape(proto.message_class(name).DESCRIPTOR)
    theirs = shape(MESSAGES[name])
    if name == "google.firestore.v1.Write":
        assert ours.pop("verify")[0] == 5  # sent by the web client, absent from the published ones
    assert ours == theirs


def test_the_service_has_every_method_that_clients_call() -> None:
    grpc_client = pytest.importorskip(
        "google.cloud.firestore_v1.services.firestore.transports.grpc"
    )
    source = Path(grpc_client.__file__).read_text()
    for method in proto.SERVICE.methods:
        assert f"/google.firestore.v1.Firestore/{method.name}" in source


def test_the_descriptor_file_is_made_of_the_definitions(tmp_path: Path) -> None:
    """Compiled anew, the .proto files give what is committed."""
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed")
    committed = (ROOT / "baas/wire/proto/firestore.desc").read_bytes()
    code = "import sys, scripts.generate_protos as g; sys.exit(g.main(sys.argv[1]))"
    output = tmp_path / "firestore.desc"
    subprocess.run([sys.executable, "-c", code, str(output)], cwd=ROOT, check=True, timeout=60)
    assert output.read_bytes() == committed
