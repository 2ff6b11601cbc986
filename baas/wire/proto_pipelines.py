"""Pipelines as protobuf. Source: ``google.firestore.v1.ExecutePipelineRequest``.

The JSON form has the same messages: see :func:`decode_json_request` and :func:`encode_json_response`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from baas.errors import InvalidArgument, Unimplemented
from baas.model.document import Document
from baas.model.paths import DatabaseId, parse_field_path
from baas.model.pipeline import (
    MAX_EXPRESSION_DEPTH,
    MAX_EXPRESSIONS,
    MAX_STAGES,
    ArrayExpression,
    Call,
    Constant,
    Expression,
    FieldReference,
    MapExpression,
    Pipeline,
    ResourcePath,
    Stage,
    SubPipeline,
    Variable,
)
from baas.model.query import LATEST
from baas.model.values import Timestamp, Value
from baas.wire import proto
from baas.wire.proto_requests import decode_consistency
from baas.wire.proto_values import decode_value, write_fields, write_timestamp
from baas.wire.requests import ExecutePipelineRequest, PipelineExplain
from baas.wire.value_checks import VECTOR_TYPE

RESULTS_PER_MESSAGE: Final = 300
_KNOWN_OPTIONS: Final = frozenset(("explain_options", "index_mode"))


def decode_execute_pipeline(message: Any) -> ExecutePipelineRequest:
    """An ``ExecutePipelineRequest``.

    Raises:
        InvalidArgument: malformed, or beyond a limit.
        Unimplemented: it asks for an option that this server does not know.
    """
    if message.WhichOneof("pipeline_type") != "structured_pipeline":
        raise InvalidArgument("A pipeline is expected: structured_pipeline is not set.")
    consistency, atomic = decode_consistency(message), message.auto_commit_transaction
    if atomic:
        begun = consistency.new_transaction
        if begun is None or begun.read_only:
            raise InvalidArgument("auto_commit_transaction needs a new transaction that may write.")
        consistency = LATEST  # it is over when the pipeline is
    structured = message.structured_pipeline
    for name in structured.options:
        if name not in _KNOWN_OPTIONS:
            raise Unimplemented(f"The pipeline option {name[:100]!r} is not offered.")
    return ExecutePipelineRequest(
        DatabaseId.parse(message.database),
        _Decoder().pipeline(structured.pipeline, 0),
        consistency,
        _explain(structured.options),
        atomic,
    )


def _explain(options: Mapping[str, Any]) -> PipelineExplain | None:
    if "explain_options" not in options:
        return None
    members = options["explain_options"].map_value.fields
    given = {name: value.string_value for name, value in members.items()}
    mode = given.get("mode", "")
    if mode == "explain":
        raise InvalidArgument("Explain execution mode is not supported: ask for analyze.")
    if mode not in ("", "execute", "analyze"):
        raise InvalidArgument(f"Unknown mode of explain_options: {mode[:100]!r}.")
    wanted = given.get("output_format") or PipelineExplain.TEXT.value
    if wanted not in (each.value for each in PipelineExplain):
        raise InvalidArgument(f"Unknown output_format of explain_options: {wanted[:100]!r}.")
    return PipelineExplain(wanted) if mode == "analyze" else None


class _Decoder:
    """Decodes one pipeline and counts what is in it."""

    def __init__(self) -> None:
        self._stages = 0
        self._expressions = 0

    def pipeline(self, message: Any, depth: int) -> Pipeline:
        """A pipeline, which may lie within another one's expressions."""
        self._stages += len(message.stages)
        if self._stages > MAX_STAGES:
            raise InvalidArgument(f"A pipeline may have at most {MAX_STAGES} stages.")
        return Pipeline(tuple(self._stage(stage, depth) for stage in message.stages))

    def _stage(self, message: Any, depth: int) -> Stage:
        return Stage(
            message.name,
            tuple(self.expression(arg, depth) for arg in message.args),
            self._entries(message.options, depth),
        )

    def expression(self, message: Any, depth: int) -> Expression:
        """One ``Value``."""
        self._expressions += 1
        if self._expressions > MAX_EXPRESSIONS:
            raise InvalidArgument(f"A pipeline may have at most {MAX_EXPRESSIONS} expressions.")
        if depth > MAX_EXPRESSION_DEPTH:
            raise InvalidArgument(
                f"Expressions may be nested at most {MAX_EXPRESSION_DEPTH} levels deep."
            )
        kind = message.WhichOneof("value_type")
        if kind == "field_reference_value":
            text = message.field_reference_value
            return FieldReference(parse_field_path(text), text)
        if kind == "variable_reference_value":
            return Variable(message.variable_reference_value)
        if kind == "function_value":
            return self._call(message.function_value, depth + 1)
        if kind == "pipeline_value":
            return SubPipeline(self.pipeline(message.pipeline_value, depth + 1))
        if kind == "map_value":
            return self._map(message, depth + 1)
        if kind == "array_value":
            return _array(
                tuple(self.expression(each, depth + 1) for each in message.array_value.values)
            )
        if kind == "reference_value" and not message.reference_value.startswith("projects/"):
            return ResourcePath(message.reference_value)
        return Constant(decode_value(message))

    def _call(self, message: Any, depth: int) -> Call:
        return Call(
            message.name,
            tuple(self.expression(arg, depth) for arg in message.args),
            self._entries(message.options, depth),
        )

    def _map(self, message: Any, depth: int) -> Expression:
        fields = message.map_value.fields
        if "__type__" in fields and fields["__type__"].string_value == VECTOR_TYPE:
            return Constant(decode_value(message))
        entries = self._entries(fields, depth)
        if entries and all(isinstance(entry, Constant) for entry in entries.values()):
            return Constant({name: entry.value for name, entry in entries.items()})  # type: ignore[union-attr]
        return MapExpression(entries)

    def _entries(self, fields: Mapping[str, Any], depth: int) -> dict[str, Expression]:
        return {name: self.expression(value, depth) for name, value in fields.items()}


def _array(elements: tuple[Expression, ...]) -> Expression:
    values = [each.value for each in elements if isinstance(each, Constant)]
    return Constant(values) if len(values) == len(elements) else ArrayExpression(elements)


def encode_execute_pipeline(
    rows: Sequence[tuple[Document | None, Mapping[str, Value]]],
    execution_time: Timestamp,
    transaction: bytes | None = None,
    statistics: str | None = None,
) -> Iterable[Any]:
    """``ExecutePipelineResponse`` messages, at least one. A row without a document has no name and times.
    ``statistics`` come with the last one."""
    first = proto.ExecutePipelineResponse()
    if transaction is not None:
        first.transaction = transaction
    starts = range(0, max(1, len(rows)), RESULTS_PER_MESSAGE)
    for start in starts:
        message = first if start == 0 else proto.ExecutePipelineResponse()
        write_timestamp(message.execution_time, execution_time)
        for document, fields in rows[start : start + RESULTS_PER_MESSAGE]:
            result = message.results.add()
            write_fields(result.fields, fields)
            if document is not None:
                result.name = document.name.name
                write_timestamp(result.create_time, document.create_time)
                write_timestamp(result.update_time, document.update_time)
        if statistics is not None and start == starts[-1]:
            message.explain_stats.data.Pack(proto.StringValue(value=statistics))
        yield message


def decode_json_request(raw: Any, database: DatabaseId) -> ExecutePipelineRequest:
    """The same request in proto3-JSON; the path names the database.

    Raises:
        InvalidArgument: as :func:`decode_execute_pipeline`, or not this message.
    """
    from google.protobuf import json_format  # imported when first needed: it is slow to load

    message = proto.ExecutePipelineRequest()
    try:
        json_format.ParseDict(raw, message)
    except (json_format.ParseError, TypeError, AttributeError) as error:
        raise InvalidArgument(f"Invalid JSON payload received. {str(error)[:300]}") from None
    message.database = database.name
    return decode_execute_pipeline(message)


def encode_json_response(messages: Iterable[Any]) -> bytes:
    """The messages as one JSON array, as streams are answered over REST."""
    from google.protobuf import json_format

    return b"[" + b",".join(json_format.MessageToJson(each).encode() for each in messages) + b"]"
