"""Document lookups of one evaluation: argument checks, budgets, caching (protocol section 4)."""

from __future__ import annotations

from collections.abc import Mapping

from rules.errors import EvaluationError
from rules.request import FIRESTORE, STORAGE, Lookups, Resource
from rules.types import DocumentMap, Path, Value

SINGLE_LIMIT = 10
MULTI_LIMIT = 20
STORAGE_LIMIT = 2
_DEFAULT_DATABASE = "(default)"
_READS = {
    (FIRESTORE, "get"): ("get", False),
    (FIRESTORE, "exists"): ("get", True),
    (FIRESTORE, "getAfter"): ("get_after", False),
    (FIRESTORE, "existsAfter"): ("get_after", True),
    (STORAGE, "firestore.get"): ("get", False),
    (STORAGE, "firestore.exists"): ("get", True),
}

Document = tuple[str, tuple[str, ...]]
"""Database id and path below `documents`."""


_NOTHING: frozenset[Document] = frozenset()


class LookupBudget:
    """What the evaluations of one request share: distinct documents read, and their contents.

    A batchGet, commit or transaction makes one with the total of 20 and hands it to each of its
    evaluations; each of these may read 10 documents on its own. Not thread-safe: one request, one thread
    at a time.
    """

    __slots__ = ("answers", "documents", "total")

    def __init__(self, total: int = MULTI_LIMIT) -> None:
        self.total = total
        self.documents: set[Document] = set()
        self.answers: dict[tuple[str, Document], Resource | bool | None] = {}


class LookupSession:
    """The lookups of one evaluation."""

    __slots__ = ("_budget", "_database", "_documents", "_host", "_limit", "_pinned", "_service")

    def __init__(
        self,
        host: Lookups,
        service: str,
        database: str,
        limit: int,
        budget: LookupBudget | None = None,
    ) -> None:
        self._host = host
        self._service = service
        self._database = _DEFAULT_DATABASE if service == STORAGE else database
        self._limit = limit
        self._budget = budget
        # Most evaluations look nothing up, so the sets are made when they are needed.
        self._documents: set[Document] | None = None
        self._pinned: set[Document] | None = None

    @property
    def documents(self) -> set[Document]:
        """What this evaluation read, counted."""
        if self._documents is None:
            self._documents = set()
        return self._documents

    @property
    def pinned(self) -> set[Document]:
        """What the query itself named."""
        if self._pinned is None:
            self._pinned = set()
        return self._pinned

    @property
    def budget(self) -> LookupBudget:
        if self._budget is None:
            self._budget = LookupBudget(self._limit)
        return self._budget

    def replay(self) -> LookupSession:
        """A fresh session that answers from what this one read, and nothing else."""
        return LookupSession(
            _Recorded(dict(self.budget.answers)), self._service, self._database, self._limit
        )

    def dependencies(self) -> frozenset[Document]:
        """Every document whose change may change the verdict."""
        if self._documents is None and self._pinned is None:
            return _NOTHING
        return frozenset(self.documents | self.pinned)

    def call(self, label: str, path: Path) -> Value:
        """A lookup function of the language on a full path."""
        read = _READS.get((self._service, label))
        if read is None:
            name = label.rpartition(".")[2]
            raise EvaluationError(f"Function not found error: Name: [{name}].")
        kind, only_whether = read
        document = self._document(label, path)
        resource = self.read(kind, document, label)
        if only_whether:
            return resource is not None
        return None if resource is None else document_value(resource, self._database)

    def _document(self, label: str, path: Path) -> tuple[str, ...]:
        parts = path.segments
        wellformed = (
            len(parts) >= 5
            and len(parts) % 2 == 1
            and parts[0] == "databases"
            and parts[1] == self._database
            and parts[2] == "documents"
            and not path.is_template
            and all(parts)
        )
        if not wellformed:
            raise EvaluationError(f"Service call error. Function: [{label}], Argument: [{path}].")
        return parts[3:]

    def read(self, kind: str, path: tuple[str, ...], label: str = "get") -> Resource | None:
        """A document by its path below `documents`, counted. Raises EvaluationError over budget."""
        document = (self._database, path)
        self._count(document, label)
        return self._answer(kind, document)

    def read_pinned(self, path: tuple[str, ...]) -> Resource | None:
        """A document that the query itself names: it is judged, not looked up, so it costs nothing."""
        document = (self._database, path)
        self.pinned.add(document)
        return self._answer("get", document)

    def _answer(self, kind: str, document: Document) -> Resource | None:
        answers = self.budget.answers
        key = (kind, document)
        if key not in answers:
            answers[key] = getattr(self._host, kind)(*document)
        found = answers[key]
        return found if isinstance(found, Resource) else None

    def has_documents(self, kind: str, collection: tuple[str, ...]) -> bool:
        """Whether a collection has a document; `kind` has_documents or has_documents_after."""
        place = (self._database, collection)
        self._count(place, "exists")
        answers = self.budget.answers
        key = (kind, place)
        if key not in answers:
            answers[key] = getattr(self._host, kind)(*place)
        return answers[key] is True

    def _count(self, document: Document, label: str) -> None:
        if document in self.documents:
            return
        budget = self.budget
        over_total = document not in budget.documents and len(budget.documents) >= budget.total
        if over_total or len(self.documents) >= self._limit:
            full = Path.of_document(*document)
            raise EvaluationError(
                f"Service call error. Function: [{label}], Argument: [{full}]. "
                "The request reads too many documents in its rules."
            )
        self.documents.add(document)
        budget.documents.add(document)


class _Recorded:
    """A host that knows only answers given before; anything else is missing."""

    def __init__(self, answers: Mapping[tuple[str, Document], Resource | bool | None]) -> None:
        self._answers = answers

    def _resource(self, kind: str, document: Document) -> Resource | None:
        found = self._answers.get((kind, document))
        return found if isinstance(found, Resource) else None

    def get(self, database: str, path: tuple[str, ...]) -> Resource | None:
        return self._resource("get", (database, path))

    def get_after(self, database: str, path: tuple[str, ...]) -> Resource | None:
        return self._resource("get_after", (database, path))

    def has_documents(self, database: str, collection: tuple[str, ...]) -> bool:
        return self._answers.get(("has_documents", (database, collection))) is True

    def has_documents_after(self, database: str, collection: tuple[str, ...]) -> bool:
        return self._answers.get(("has_documents_after", (database, collection))) is True


def document_value(resource: Resource, database: str) -> Mapping[str, Value]:
    """A document as rules see it."""
    return DocumentMap(resource.data, database, resource.path)
