"""Running a pipeline over one version of a database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol

from baas.documents.pipelines.expressions import Compiler
from baas.documents.pipelines.rows import ABSENT, EvaluationError, Row, check_size
from baas.documents.pipelines.sources import collection_query, document_names, opening_query
from baas.documents.pipelines.stages import Flow, StageCompiler, aliases, held
from baas.documents.reader import Reader
from baas.documents.results import PipelineResult, PipelineScan
from baas.documents.scan import Scan
from baas.errors import InvalidArgument, Unimplemented
from baas.model.document import Document
from baas.model.paths import DocumentName, check_segments
from baas.model.pipeline import Constant, Pipeline, Stage
from baas.model.query import Query
from baas.model.values import Timestamp

_TICK: Final = 128
"""Rows after which it is asked whether to go on."""
_DESCRIBED_SCANS: Final = 100
"""Scans that the statistics tell of: a pipeline within an expression may scan once for each row."""
SOURCES: Final = frozenset(
    ("collection", "collection_group", "database", "documents", "literals", "subcollection")
)

Rows = Callable[[Row | None], Iterable[Row]]
"""A compiled pipeline; a pipeline within an expression is given the row around it."""


class Guard(Protocol):
    """Decides about what a pipeline reads. Both methods raise ``PermissionDenied``."""

    def check_query(self, query: Query) -> None:
        """May all that this canonical query could return be read?"""

    def check_document(self, name: DocumentName, document: Document | None) -> None:
        """May this document be read?"""

    def check_everything(self) -> None:
        """May whatever there is be read?"""


class Execution:
    """One execution of one pipeline.

    ``queries`` and ``documents`` tell, once it is done, what it read.
    """

    def __init__(self, reader: Reader, guard: Guard, now: Timestamp) -> None:
        self._reader = reader
        self._guard = guard
        self.queries: list[Query] = []
        self._scans: list[Scan] = []
        self.documents: list[tuple[DocumentName, Document | None]] = []
        self._compiler = Compiler(now, self._sub_pipeline)
        self._stages = StageCompiler(self._compiler, self._other)

    def run(self, pipeline: Pipeline) -> PipelineResult[Row]:
        """The rows that the pipeline gives, and what they took.

        Raises:
            InvalidArgument: it is malformed, or a value of it could not be computed.
            PermissionDenied: it may read what the caller may not.
            ResourceExhausted, DeadlineExceeded: it takes too much.
            Unimplemented: a stage or function that is not offered.
        """
        began = time.perf_counter()
        rows = self._compiled(pipeline)
        try:
            found = self._collected(rows(None))
        except EvaluationError as error:
            raise InvalidArgument(f"The pipeline cannot be computed: {error}.") from None
        scans = tuple(_described(scan) for scan in self._scans)
        return PipelineResult(found, scans, len(self.documents), time.perf_counter() - began)

    def exists(self, name: DocumentName) -> bool:
        """Whether there is a document; it is one of those that were read."""
        document = self._reader.get(name)
        self.documents.append((name, document))
        return document is not None

    def _collected(self, rows: Iterable[Row]) -> list[Row]:
        found: list[Row] = []
        for row in rows:
            found.append(row)
            held(len(found))
        return found

    def _compiled(self, pipeline: Pipeline) -> Rows:
        if not pipeline.stages or pipeline.stages[0].name not in SOURCES:
            raise InvalidArgument(f"A pipeline begins with one of {', '.join(sorted(SOURCES))}.")
        source = self._source(pipeline.stages[0], pipeline.stages[1:])
        flows = [self._stages.compile(stage) for stage in pipeline.stages[1:]]

        def rows(around: Row | None) -> Iterable[Row]:
            current = source(around)
            for flow in flows:
                current = self._ticking(flow, current)
            return current

        return rows

    def _ticking(self, flow: Flow, rows: Iterable[Row]) -> Iterator[Row]:
        for count, row in enumerate(flow(rows)):
            if count % _TICK == 0:
                self._reader.tx.check()
            yield row

    def _sub_pipeline(self, pipeline: Pipeline) -> Callable[[Row], list[Row]]:
        rows = self._compiled(pipeline)

        def run(row: Row) -> list[Row]:
            self._reader.tx.check()
            return self._collected(rows(row))

        return run

    def _other(self, pipeline: Pipeline) -> Callable[[], Iterable[Row]]:
        rows = self._compiled(pipeline)
        return lambda: rows(None)

    def _source(self, stage: Stage, following: Sequence[Stage]) -> Rows:
        unknown = set(stage.options) - {"force_index"}
        if unknown:
            raise Unimplemented(
                f"The option {min(unknown)[:100]!r} of the stage {stage.name!r} is not offered."
            )
        if stage.name == "literals":
            return self._literals(stage)
        if stage.name == "documents":
            return self._documents(stage)
        if stage.name == "subcollection":
            return self._subcollection(stage)
        query = collection_query(self._reader.database, stage)
        self._guard.check_query(opening_query(query, following, limited=True))
        opening = opening_query(query, following, limited=False)
        self.queries.append(opening)
        return lambda around: self._scanned(opening, around)

    def _scanned(self, query: Query, around: Row | None) -> Iterator[Row]:
        variables = {} if around is None else around.variables
        scan = Scan(self._reader, query)
        if len(self._scans) < _DESCRIBED_SCANS:
            self._scans.append(scan)
        for count, document in enumerate(scan.documents()):
            if count % _TICK == 0:
                self._reader.tx.check()
            yield Row(document.fields, document, variables)

    def _literals(self, stage: Stage) -> Rows:
        evaluators = [
            {alias: self._compiler.compile(entry) for alias, entry in aliases(stage, at).items()}
            for at in range(len(stage.args))
        ]

        def rows(around: Row | None) -> Iterator[Row]:
            start = Row({}, None, {} if around is None else around.variables)
            for entries in evaluators:
                # a literal's fields see nothing but variables
                fields = {alias: made(start) for alias, made in entries.items()}
                row = start.with_fields(
                    {alias: value for alias, value in fields.items() if value is not ABSENT}
                )
                check_size(row.fields)
                yield row

        return rows

    def _documents(self, stage: Stage) -> Rows:
        names = document_names(self._reader.database, stage)

        def rows(around: Row | None) -> Iterator[Row]:
            for name in names:
                document = self._reader.get(name)
                self._guard.check_document(name, document)
                self.documents.append((name, document))
                if document is not None:
                    yield Row(document.fields, document, {} if around is None else around.variables)

        return rows

    def _subcollection(self, stage: Stage) -> Rows:
        """The collection below the document of the row around it."""
        self._guard.check_everything()
        argument = stage.args[0] if len(stage.args) == 1 else None
        if not isinstance(argument, Constant) or not isinstance(argument.value, str):
            raise InvalidArgument("subcollection takes the path of a collection.")
        path = argument.value
        segments = check_segments(tuple(path.removeprefix("/").split("/")))
        if len(segments) % 2 == 0:
            raise InvalidArgument(f"{path[:200]!r} is not the path of a collection.")

        def rows(around: Row | None) -> Iterable[Row]:
            if around is None or around.document is None:
                raise EvaluationError("subcollection: there is no document around it")
            parent = (*around.document.name.segments, *segments[:-1])
            query = opening_query(
                Query(self._reader.database, check_segments(parent), segments[-1]),
                (),
                limited=False,
            )
            self.queries.append(query)
            return self._scanned(query, around)

        return rows


def _described(scan: Scan) -> PipelineScan:
    query, examined = scan.query, scan.examined
    path = "/".join((*query.parent, query.collection_id or "*"))
    name = f"**/{path}" if query.all_descendants else f"/{path}"
    return PipelineScan(name, scan.describe(), examined.documents, examined.entries)
