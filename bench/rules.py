"""How fast rules compile, judge and prove. Run: `python -m bench.rules`. Best of several rounds.


Figures of different machines cannot be compared; the goals are 10, 50 and 100 us on the machine at hand.
"""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable

from rules import (
    FIRESTORE,
    Auth,
    FieldFilter,
    ListRequest,
    LookupBudget,
    NoLookups,
    Request,
    Resource,
    Timestamp,
    compile_rules,
)

NOW = Timestamp.from_seconds(1_790_000_000)
USER = Auth("u1", {"sub": "u1", "email": "u1@example.com", "email_verified": True})


def in_documents(body: str) -> str:
    return (
        "rules_version = '2';\nservice cloud.firestore {\n"
        f"  match /databases/{{database}}/documents {{\n{body}\n  }}\n}}\n"
    )


OWNER = in_documents(
    "match /users/{userId} { allow read, write: if request.auth != null && request.auth.uid == userId; }"
)
ROLE = in_documents(
    "function admin() { return "
    "get(/databases/$(database)/documents/users/$(request.auth.uid)).data.role == 'admin'; }\n"
    "match /posts/{id} { allow get: if admin() || resource.data.owner == request.auth.uid; }"
)
QUERY = in_documents(
    "match /posts/{id} { allow list: if request.auth != null && "
    "resource.data.owner == request.auth.uid && request.query.limit <= 50; }"
)


def large() -> str:
    """Some 300 lines in ten match blocks, as real applications have them."""
    helpers = """
    function signedIn() {
      return request.auth != null;
    }
    function isOwner(uid) {
      return signedIn() && request.auth.uid == uid;
    }
    function verified() {
      return signedIn() && request.auth.token.email_verified == true;
    }
    function unchanged(fields) {
      return !request.resource.data.diff(resource.data).affectedKeys().hasAny(fields);
    }
"""
    blocks = []
    for number in range(10):
        checks = "\n".join(
            f"        && request.resource.data.field{i} is string\n"
            f"        && request.resource.data.field{i}.size() < 200"
            for i in range(8)
        )
        blocks.append(
            f"""
    match /kind{number}/{{id}} {{
      function valid() {{
        let data = request.resource.data;
        return data.keys().hasAll(['owner', 'title'])
        && data.title.matches('[A-Za-z0-9 ]+')
{checks};
      }}
      allow get: if isOwner(resource.data.owner) || resource.data.public == true;
      allow create: if verified() && isOwner(request.resource.data.owner) && valid();
      allow update: if isOwner(resource.data.owner) && valid() && unchanged(['owner', 'createdAt']);
      allow delete: if isOwner(resource.data.owner);
    }}"""
        )
    return in_documents(helpers + "".join(blocks))


class Users(NoLookups):
    def get(self, database: str, path: tuple[str, ...]) -> Resource | None:
        return Resource({"role": "user"}, path)


def report(name: str, run: Callable[[], object], number: int = 500) -> None:
    best = min(timeit.repeat(run, timer=time.process_time, number=number, repeat=15)) / number
    print(f"{name:<58} {best * 1e6:9.1f} us")


def main() -> None:
    none = NoLookups()
    owner, role, query, big = (compile_rules(text) for text in (OWNER, ROLE, QUERY, large()))
    mine = Request(FIRESTORE, "get", ("users", "u1"), NOW, auth=USER)
    report("ownership: auth != null && auth.uid == userId", lambda: owner.evaluate(mine, none))

    post = Resource({"owner": "u1"}, ("posts", "p"))
    read = Request(FIRESTORE, "get", ("posts", "p"), NOW, auth=USER, resource=post)
    users, budget = Users(), LookupBudget()
    report("role: one cached get()", lambda: role.evaluate(read, users, budget=budget))

    fields = {f"field{i}": "text" for i in range(8)}
    before = Resource({"owner": "u1", "title": "A title", **fields}, ("kind9", "d"))
    after = Resource({**before.data, "title": "Another"}, ("kind9", "d"))
    path = ("kind9", "d")
    shown = Request(FIRESTORE, "get", path, NOW, auth=USER, resource=before)
    report(f"{len(large().splitlines())} lines, ten blocks: get", lambda: big.evaluate(shown, none))
    change = Request(FIRESTORE, "update", path, NOW, auth=USER, resource=before, new_resource=after)
    assert big.evaluate(change, none).allowed
    report("the same: update that checks eight fields", lambda: big.evaluate(change, none))

    wanted = FieldFilter(("owner",), "==", "u1")
    listed = ListRequest((), "posts", NOW, auth=USER, filters=wanted, limit=20)
    assert query.prove(listed, none).allowed
    report("proof: owner ==, limit", lambda: query.prove(listed, none))
    report("compile: one block", lambda: compile_rules(OWNER), 20)
    report("compile: ten blocks", lambda: compile_rules(large()), 2)


if __name__ == "__main__":
    main()
