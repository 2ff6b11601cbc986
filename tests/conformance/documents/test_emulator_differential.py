"""Generated requests to Google's Firestore emulator and to a Homefire server: the answers must be the same.

Compared are statuses, canonical codes, documents, their order, transform results and aggregations. What may
differ, and why, stands in ``servers.py`` (what is not compared), in ``generator.py`` (what is not asked)
and in docs/documents.md.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.documents.generator import Generator
from tests.conformance.documents.servers import Difference, Pair, Request, Server, plain

SEEDS = range(4)
WRITES, QUERIES, AGGREGATIONS, NEIGHBOURS = 80, 300, 60, 50
SINGLES, LISTS, PATHS, IDS = 60, 20, 100, 60


def filled(pair: Pair, seed: int, collection: str) -> Generator:
    """A generator whose collection both servers have filled with the same documents."""
    generator = Generator(seed, f"{collection}{seed}")
    names = [generator.name(each) for each in generator.ids]
    names += [f"{name}/{generator.group}/{each}" for name in names[:6] for each in "xyz"]
    # parents of nothing but a subcollection, for lists that show what is missing
    names += [f"{generator.name(each)}/{generator.group}/x" for each in ("ghost", "a ghost")]
    pair.commit([{"update": {"name": name, "fields": generator.fields()}} for name in names])
    return generator


def everything(generator: Generator) -> list[Request]:
    """Queries for all that the generator can have written."""
    sources = [{"collectionId": generator.collection}]
    sources += [{"collectionId": generator.group, "allDescendants": True}]
    bodies = [{"structuredQuery": {"from": [source]}} for source in sources]
    return [Request("POST", ":runQuery", body) for body in bodies]


def check(pair: Pair, generator: Generator, requests: list[Request]) -> None:
    """The same answer to each request, and the same documents at the end."""
    assert list(pair.differences(requests)) == []
    assert pair.query_differences(everything(generator)) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_commits(pair: Pair, seed: int) -> None:
    generator = filled(pair, seed, "commits")
    writes = [[generator.write()] for _ in range(WRITES)]
    check(pair, generator, [Request("POST", ":commit", {"writes": each}) for each in writes])


@pytest.mark.parametrize("seed", SEEDS)
def test_commits_of_several_writes(pair: Pair, seed: int) -> None:
    """Preconditions are only those that hold or fail whatever the same commit wrote before."""
    generator = filled(pair, seed, "several")
    requests = []
    for _ in range(WRITES // 2):
        writes = [generator.write() for _ in range(3)]
        for write in writes[1:]:
            write.pop("currentDocument", None)
        requests.append(Request("POST", ":commit", {"writes": writes}))
    check(pair, generator, requests)


@pytest.mark.parametrize("seed", SEEDS)
def test_batch_writes(pair: Pair, seed: int) -> None:
    generator = filled(pair, seed, "batches")
    check(pair, generator, [generator.batch_write() for _ in range(WRITES // 2)])


@pytest.mark.parametrize("seed", SEEDS)
def test_documents_one_by_one(pair: Pair, seed: int) -> None:
    generator = filled(pair, seed, "singles")
    check(pair, generator, [generator.single() for _ in range(SINGLES)])


@pytest.mark.parametrize("seed", SEEDS)
def test_queries(pair: Pair, seed: int) -> None:
    generator = filled(pair, seed, "queries")
    assert pair.query_differences(generator.run_query() for _ in range(QUERIES)) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_aggregations(pair: Pair, seed: int) -> None:
    generator = filled(pair, seed, "sums")
    requests = [generator.aggregation() for _ in range(AGGREGATIONS)]
    assert list(pair.differences(requests)) == []


def rounded(value: Any) -> Any:
    """The same with 12 digits of each distance: the last ones depend on the order of additions."""
    if isinstance(value, float):
        return float(f"{value:.12g}")
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", SEEDS)
def test_nearest_neighbours(pair: Pair, seed: int) -> None:
    generator = filled(pair, seed, "vectors")
    for index, document_id in enumerate(generator.ids):
        fields = {"v": generator.vector(3 if index % 7 == 0 else 2), "b": generator.operand("b")}
        pair.commit([{"update": {"name": generator.name(document_id), "fields": fields}}])
    requests = [generator.nearest() for _ in range(NEIGHBOURS)]
    differences = pair.query_differences(requests)
    assert [each for each in differences if rounded(each.emulator) != rounded(each.homefire)] == []


@pytest.mark.parametrize("seed", SEEDS)
def test_batch_gets(pair: Pair, seed: int) -> None:
    generator = filled(pair, seed, "gets")
    assert list(pair.differences(generator.batch_get() for _ in range(SINGLES))) == []


def pages(server: Server, path: str) -> list[Any]:
    """All pages of a list. The emulator ends with an empty one, and has no second one of an ordered list."""
    found: list[Any] = []
    token = ""
    while True:
        answer = server.ask(Request("GET", f"{path}&pageToken={token}"))
        found.append(answer.compared())
        token = answer.body.get("nextPageToken", "") if answer.status == 200 else ""
        if not token or "orderBy" in path:
            return found if found[-1] else found[:-1]


@pytest.mark.parametrize("seed", SEEDS)
def test_lists_by_pages(pair: Pair, seed: int) -> None:
    generator = filled(pair, seed, "lists")
    differences = []
    for _ in range(LISTS):
        path = generator.listing()
        theirs, ours = pages(pair.emulator, path), pages(pair.homefire, path)
        if theirs != ours:
            differences.append(Difference(Request("GET", path), theirs, ours))
    assert differences == []


@pytest.mark.parametrize("seed", SEEDS)
def test_syntax_of_field_paths(pair: Pair, seed: int) -> None:
    generator = filled(pair, seed, "paths")
    differences = list(pair.differences(generator.masked_get() for _ in range(PATHS)))
    assert differences == []


@pytest.mark.parametrize("seed", SEEDS)
def test_ids_of_documents_and_collections(pair: Pair, seed: int) -> None:
    generator = filled(pair, seed, "ids")
    requests = []
    for number in range(IDS):
        path = f"ids{seed}/{generator.odd_id()}"
        if number % 3 == 0:
            path += f"/{generator.odd_id()}/x"
        write = {"update": {"name": generator.name("d00").rsplit("/", 2)[0] + f"/{path}"}}
        requests.append(Request("POST", ":commit", {"writes": [write]}))
    check(pair, generator, requests)


def transaction_flow(server: Server) -> list[Any]:
    """What a server answers to the ways that a transaction can go."""
    told: list[Any] = []
    name = "projects/demo/databases/(default)/documents/flow/a"
    transaction = ""

    def call(verb: str, **body: Any) -> Any:
        answer = server.ask(Request("POST", f":{verb}", body))
        told.append((verb, answer.status, answer.code))
        return answer.body

    def begin(**options: Any) -> str:
        return str(call("beginTransaction", options=options)["transaction"])

    def read() -> None:
        told.append(plain(call("batchGet", documents=[name], transaction=transaction)))

    def commit(value: int | None, **more: Any) -> None:
        fields = {"n": {"integerValue": str(value)}}
        writes = [] if value is None else [{"update": {"name": name, "fields": fields}, **more}]
        call("commit", writes=writes, transaction=transaction)

    call("commit", writes=[{"update": {"name": name, "fields": {}}}])
    transaction = begin()  # committed: it is over, and cannot be used
    read()
    query = {"from": [{"collectionId": "flow"}]}
    told.append(len(call("runQuery", structuredQuery=query, transaction=transaction)))
    commit(1)
    commit(2)
    call("batchGet", documents=[name], transaction=transaction)
    call("rollback", transaction=transaction)
    transaction = begin()  # rolled back
    call("rollback", transaction=transaction)
    call("rollback", transaction=transaction)
    commit(3)
    transaction = begin(readOnly={})  # read only
    read()
    commit(4)
    transaction = begin(readOnly={})
    commit(None)
    commit(None)
    transaction = begin()  # a commit that fails ends it
    commit(5, currentDocument={"exists": False})
    commit(6)
    begun = call("batchGet", documents=[name], newTransaction={"readWrite": {}})
    told.append([sorted(each) for each in begun])
    transaction = begun[0]["transaction"]
    commit(7)
    transaction = ""
    told.append(plain(call("batchGet", documents=[name])))
    return told


def test_a_transaction_goes_the_same_ways(pair: Pair) -> None:
    assert transaction_flow(pair.homefire) == transaction_flow(pair.emulator)
