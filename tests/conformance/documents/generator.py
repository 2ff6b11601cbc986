"""Random documents, writes and queries in proto3-JSON, from a seed: the same to every server."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import quote, urlencode

from tests.conformance.documents.servers import DOCUMENTS, Request

FIELDS = ("a", "b", "m.x", "tags")
NAME = "__name__"

_INTEGERS = (0, 1, -1, 2, 7, 2**53, 2**53 + 1, 2**63 - 1, -(2**63))
_DOUBLES: tuple[float | str, ...] = (0.5, -0.0, 1.0, 2.0, 1e300, "NaN", "Infinity", "-Infinity")
_TEXTS = ("", "a", "ab", "b", "é", "\U00010000", "\uffff", "A", "a\u0000")
_TIMES = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000001Z", "1969-12-31T23:59:59Z")


class Generator:
    """One stream of random things; every method draws from it."""

    def __init__(self, seed: int, collection: str) -> None:
        self._random = random.Random(seed)
        self.collection = collection
        self.ids = [f"d{number:02}" for number in range(30)]
        self.group = f"{collection}sub"
        self.names = True

    def name(self, document_id: str | None = None) -> str:
        return f"{DOCUMENTS}/{self.collection}/{document_id or self._random.choice(self.ids)}"

    def scalar(self) -> dict[str, Any]:
        draw = self._random
        kind = draw.choice(
            ("null", "bool", "int", "int", "double", "text", "text", "time", "bytes", "geo", "ref")
        )
        if kind == "null":
            return {"nullValue": None}
        if kind == "bool":
            return {"booleanValue": draw.random() < 0.5}
        if kind == "int":
            return {"integerValue": str(draw.choice(_INTEGERS))}
        if kind == "double":
            return {"doubleValue": draw.choice(_DOUBLES)}
        if kind == "text":
            return {"stringValue": draw.choice(_TEXTS)}
        if kind == "time":
            return {"timestampValue": draw.choice(_TIMES)}
        if kind == "bytes":
            return {"bytesValue": draw.choice(("", "AA==", "AP8=", "/w=="))}
        if kind == "geo":
            point = {"latitude": draw.choice((-90, 0, 1.5)), "longitude": draw.choice((0, 180))}
            return {"geoPointValue": point}
        return {"referenceValue": self.name()}

    def value(self, depth: int = 1) -> dict[str, Any]:
        draw = self._random
        if depth and draw.random() < 0.2:
            items = [self.value(0) for _ in range(draw.randrange(3))]
            return {"arrayValue": {"values": items} if items else {}}
        if depth and draw.random() < 0.15:
            fields = {key: self.value(0) for key in draw.sample(("x", "y", "z"), draw.randrange(3))}
            return {"mapValue": {"fields": fields} if fields else {}}
        return self.scalar()

    def fields(self) -> dict[str, Any]:
        draw = self._random
        made: dict[str, Any] = {}
        if draw.random() < 0.85:
            made["a"] = self.value()
        if draw.random() < 0.8:
            made["b"] = {"integerValue": str(draw.randrange(4))}
        if draw.random() < 0.4:
            made["m"] = {"mapValue": {"fields": {"x": self.value(0)}}}
        if draw.random() < 0.5:
            tags = [{"stringValue": tag} for tag in draw.sample("pqr", draw.randrange(3))]
            made["tags"] = {"arrayValue": {"values": tags} if tags else {}}
        return made

    # Writes

    def write(self) -> dict[str, Any]:
        draw = self._random
        if draw.random() < 0.15:
            write: dict[str, Any] = {"delete": self.name()}
        else:
            document: dict[str, Any] = {"name": self.name(), "fields": self.fields()}
            write = {"update": document}
            if draw.random() < 0.6:
                paths = draw.sample(("a", "b", "m.x", "m", "tags", "nope"), draw.randrange(1, 4))
                if "m" in paths and "m.x" in paths:
                    paths.remove("m.x")
                write["updateMask"] = {"fieldPaths": paths}
                document["fields"] = {
                    key: value
                    for key, value in document["fields"].items()
                    if key in paths or (key == "m" and "m.x" in paths)
                }
            if draw.random() < 0.4:
                write["updateTransforms"] = [self.transform() for _ in range(draw.randrange(1, 3))]
        if draw.random() < 0.3:
            write["currentDocument"] = {"exists": draw.random() < 0.6}
        return write

    def transform(self) -> dict[str, Any]:
        draw = self._random
        path = draw.choice(("a", "b", "n", "tags", "m.y"))
        kind = draw.choice(
            ("increment", "maximum", "minimum", "appendMissingElements", "removeAllFromArray")
        )
        if kind in ("appendMissingElements", "removeAllFromArray"):
            return {"fieldPath": path, kind: {"values": [self.scalar() for _ in range(2)]}}
        number = (
            {"integerValue": str(draw.choice(_INTEGERS))}
            if draw.random() < 0.6
            else {"doubleValue": draw.choice((0.5, -1.5, 1e300))}
        )
        return {"fieldPath": path, kind: number}

    # Queries

    def run_query(self) -> Request:
        """A query of the collection, of a subcollection, or of the group of them all."""
        draw = self._random
        roll = draw.random()
        source: dict[str, Any] = {"collectionId": self.collection}
        parent = ""
        if roll > 0.75:
            source = {"collectionId": self.group}
            if roll < 0.85:
                source["allDescendants"] = True
            else:  # the emulator has groups only below the root
                parent = f"/{self.collection}/{draw.choice(self.ids[:6])}"
        body = {"structuredQuery": self.query(source)}
        return Request("POST", f"{parent}:runQuery", body)

    def query(self, source: dict[str, Any]) -> dict[str, Any]:
        draw = self._random
        query: dict[str, Any] = {"from": [source]}
        where = self.where()
        if where is not None:
            query["where"] = where
        orders = self.orders()
        if orders:
            query["orderBy"] = orders
            for cursor in ("startAt", "endAt"):
                if draw.random() < 0.25:
                    values = [self.cursor_value(order) for order in orders]
                    keep = draw.randrange(0, len(values) + 1)
                    query[cursor] = {"values": values[:keep], "before": draw.random() < 0.5}
        if draw.random() < 0.4:
            query["limit"] = draw.randrange(0, 12)
        if draw.random() < 0.15:
            query["offset"] = draw.randrange(4)
        if draw.random() < 0.15:
            paths = draw.sample(("a", "m.x", "m", NAME, "`b`", "nope"), draw.randrange(0, 3))
            query["select"] = {"fields": [{"fieldPath": path} for path in paths]}
        return query

    def cursor_value(self, order: dict[str, Any]) -> dict[str, Any]:
        path = order["field"]["fieldPath"]
        if path == NAME:
            return self.reference()
        return self.operand(path)

    def reference(self) -> dict[str, Any]:
        """The name of a document, of this or of a nested collection."""
        draw = self._random
        name = self.name()
        if draw.random() < 0.2:
            name = f"{name}/{self.group}/{draw.choice('xyz')}"
        return {"referenceValue": name}

    def where(self) -> dict[str, Any] | None:
        draw = self._random
        roll = draw.random()
        if roll < 0.25:
            return None
        if roll < 0.6:
            return self.condition()
        return self.composite(2)

    def composite(self, depth: int) -> dict[str, Any]:
        draw = self._random
        parts = [self.condition(alone=False) for _ in range(draw.randrange(1, 4))]
        if depth > 1 and draw.random() < 0.3:
            parts.append(self.composite(depth - 1))
        op = draw.choice(("AND", "OR"))
        return {"compositeFilter": {"op": op, "filters": parts}}

    def condition(self, *, alone: bool = True) -> dict[str, Any]:
        """A filter; ``__name__`` only alone, as the emulator takes few others beside it."""
        draw = self._random
        path = draw.choice((*FIELDS, *FIELDS, NAME) if alone and self.names else FIELDS)
        field = {"fieldPath": path}
        if draw.random() < 0.1:
            op = draw.choice(("IS_NULL", "IS_NAN", "IS_NOT_NULL", "IS_NOT_NAN"))
            return {"unaryFilter": {"op": op, "field": field}}
        op = draw.choice(
            (
                *("EQUAL", "EQUAL", "NOT_EQUAL", "LESS_THAN", "LESS_THAN_OR_EQUAL"),
                *("GREATER_THAN", "GREATER_THAN_OR_EQUAL", "IN", "NOT_IN"),
                *("ARRAY_CONTAINS", "ARRAY_CONTAINS_ANY"),
            )
        )
        if op.startswith("ARRAY"):
            path = "tags"
        if op in ("IN", "NOT_IN", "ARRAY_CONTAINS_ANY"):
            several = {"values": [self.operand(path) for _ in range(draw.randrange(1, 4))]}
            value: dict[str, Any] = {"arrayValue": several}
        else:
            value = self.operand(path)
        return {"fieldFilter": {"field": {"fieldPath": path}, "op": op, "value": value}}

    def operand(self, path: str) -> dict[str, Any]:
        draw = self._random
        if path == NAME and draw.random() < 0.95:
            return self.reference()
        if path == "b" and draw.random() < 0.8:
            return {"integerValue": str(draw.randrange(4))}
        if path == "tags" and draw.random() < 0.8:
            return {"stringValue": draw.choice("pqr")}
        return self.value() if path == "a" else self.scalar()

    def orders(self) -> list[dict[str, Any]]:
        draw = self._random
        if draw.random() < 0.4:
            return []
        paths = draw.sample(("a", "b", "m.x"), draw.randrange(0, 4))
        # by the name alone only ascending: the emulator cannot scan keys downwards
        directions = ("ASCENDING", "DESCENDING")
        orders = [(path, draw.choice(directions)) for path in paths]
        if draw.random() < 0.3 or not orders:
            orders.append((NAME, draw.choice(directions) if orders else "ASCENDING"))
        return [{"field": {"fieldPath": path}, "direction": each} for path, each in orders]

    def aggregation(self) -> Request:
        """Count, sum and average of what a query finds.

        Not by the name: the emulator has no index with the aggregated field after it.
        """
        draw = self._random
        self.names = False
        query = self.query({"collectionId": self.collection})
        query.pop("select", None)
        if any(order["field"]["fieldPath"] == NAME for order in query.get("orderBy", ())):
            for member in ("orderBy", "startAt", "endAt"):
                query.pop(member, None)
        path = draw.choice(("a", "b", "m.x"))
        field = {"field": {"fieldPath": path}}
        aggregations: list[dict[str, Any]] = [
            {"alias": "n", "count": draw.choice(({}, {"upTo": "3"}))},
            {"alias": "s", "sum": field},
            {"alias": "v", "avg": field},
        ]
        wanted = draw.sample(aggregations, draw.randrange(1, 4))
        body = {"structuredQuery": query, "aggregations": wanted}
        return Request("POST", ":runAggregationQuery", {"structuredAggregationQuery": body})

    def nearest(self) -> Request:
        """The nearest neighbours of a random vector."""
        draw = self._random
        query: dict[str, Any] = {
            "from": [{"collectionId": self.collection}],
            "findNearest": {
                "vectorField": {"fieldPath": "v"},
                "queryVector": self.vector(draw.choice((2, 2, 3))),
                "distanceMeasure": draw.choice(("EUCLIDEAN", "COSINE", "DOT_PRODUCT")),
                "limit": draw.randrange(1, 12),
            },
        }
        if draw.random() < 0.5:
            query["findNearest"]["distanceResultField"] = "distance"
        if draw.random() < 0.3:
            query["findNearest"]["distanceThreshold"] = draw.choice((0.25, 1.0, 4.0))
        if draw.random() < 0.4:
            where = {"field": {"fieldPath": "b"}, "op": "EQUAL", "value": self.operand("b")}
            query["where"] = {"fieldFilter": where}
        return Request("POST", ":runQuery", {"structuredQuery": query})

    def vector(self, dimensions: int) -> dict[str, Any]:
        components = [
            {"doubleValue": round(self._random.uniform(-2, 2), 6) or 1.0} for _ in range(dimensions)
        ]
        fields = {
            "__type__": {"stringValue": "__vector__"},
            "value": {"arrayValue": {"values": components}},
        }
        return {"mapValue": {"fields": fields}}

    # Paths, ids and single documents

    def text(self, letters: str, longest: int) -> str:
        return "".join(self._random.choices(letters, k=self._random.randrange(1, longest)))

    def masked_get(self) -> Request:
        """A document cut down to what a path of random syntax says."""
        path = self.text("ab_.`\\-1 é", 7)
        return Request("GET", f"/{self.collection}/d00?mask.fieldPaths={quote(path)}")

    def odd_id(self) -> str:
        """An id of random letters: perhaps reserved, never one that is no path segment."""
        made = self.text("a_.9- é%", 6)
        return f"__{made}__" if self._random.random() < 0.1 else made

    def single(self) -> Request:
        """A create, get, patch or delete of one document, with or without mask and precondition."""
        draw = self._random
        document_id = draw.choice(self.ids[:8])
        path = f"/{self.collection}/{document_id}"
        params: list[tuple[str, str]] = []
        if draw.random() < 0.3:
            params.append(("mask.fieldPaths", draw.choice(("a", "m.x", "nope"))))
        kind = draw.choice(("get", "create", "patch", "patch", "delete"))
        if kind == "get":
            return Request("GET", path + query_string(params))
        if kind == "create":
            params.append(("documentId", document_id))
            body = {"fields": self.fields()}
            return Request("POST", f"/{self.collection}{query_string(params)}", body)
        if draw.random() < 0.4:
            params.append(("currentDocument.exists", draw.choice(("true", "false"))))
        elif draw.random() < 0.1:
            params.append(("currentDocument.updateTime", "2020-01-01T00:00:00Z"))
        if kind == "delete":
            params = [param for param in params if param[0] != "mask.fieldPaths"]
            return Request("DELETE", path + query_string(params))
        for masked in draw.sample(("a", "b", "m.x", "nope"), draw.randrange(3)):
            params.append(("updateMask.fieldPaths", masked))
        return Request("PATCH", path + query_string(params), {"fields": self.fields()})

    def batch_get(self) -> Request:
        draw = self._random
        # each name once: of the same name twice the emulator tells the later place
        names = draw.sample([self.name(each) for each in [*self.ids, "none"]], draw.randrange(1, 5))
        body: dict[str, Any] = {"documents": names}
        if draw.random() < 0.4:
            body["mask"] = {"fieldPaths": draw.sample(("a", "m.x", "tags"), draw.randrange(3))}
        return Request("POST", ":batchGet", body)

    def batch_write(self) -> Request:
        """Writes of different documents, each to succeed or fail by itself."""
        writes: dict[str, Any] = {}
        for _ in range(self._random.randrange(1, 5)):
            write = self.write()
            name = write["delete"] if "delete" in write else write["update"]["name"]
            writes[name] = write
        return Request("POST", ":batchWrite", {"writes": list(writes.values())})

    def listing(self) -> str:
        """The path and parameters of a list, without its page token."""
        draw = self._random
        params = [("pageSize", str(draw.randrange(1, 9)))]
        if draw.random() < 0.5:
            orders = draw.choice(("a", "b desc", "b,a desc", "m.x", "__name__"))
            params.append(("orderBy", orders))
        elif draw.random() < 0.5:  # then the emulator takes no notice of a mask
            return f"/{self.collection}{query_string([*params, ('showMissing', 'true')])}"
        if draw.random() < 0.4:
            params.append(("mask.fieldPaths", draw.choice(("a", "m.x"))))
        collection = self.collection
        if draw.random() < 0.2:
            collection += f"/{draw.choice(self.ids[:6])}/{self.group}"
        return f"/{collection}{query_string(params)}"


def query_string(params: list[tuple[str, str]]) -> str:
    return f"?{urlencode(params, quote_via=quote)}" if params else ""
