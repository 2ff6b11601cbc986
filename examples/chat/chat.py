"""A chat in the terminal: what one writes, all in the room see at once.

    python chat.py --name Ada --room kitchen

Every line of standard input is a message; the end of input (Ctrl-D) leaves. Uses the synchronous SDK:
the listener calls back from a thread of its own while the main thread waits for the keyboard.
"""

import argparse
import sys

from homefire.sync.app import FirebaseError, initialize_app
from homefire.sync.auth import get_auth, sign_in_anonymously
from homefire.sync.firestore import (
    QuerySnapshot,
    add_doc,
    collection,
    get_firestore,
    limit_to_last,
    on_snapshot,
    order_by,
    query,
    server_timestamp,
)

HISTORY = 20  # messages that a newcomer is shown

parser = argparse.ArgumentParser(description="A chat in the terminal.")
parser.add_argument("--name", required=True, help="what the others call you")
parser.add_argument("--room", default="kitchen", help="the room to enter")
parser.add_argument("--host", default="http://127.0.0.1:8080", help="the server's address")
parser.add_argument("--project", default="homefire", help="the project on the server")


def show(snapshot: QuerySnapshot) -> None:
    for change in snapshot.doc_changes():
        if change.type == "added":
            message = change.doc.data()
            print(f"{message['name']}: {message['text']}", flush=True)


def complain(error: FirebaseError) -> None:
    print(f"no longer listening: {error}", file=sys.stderr, flush=True)


def chat(host: str, project: str, room: str, name: str) -> None:
    with initialize_app({"project_id": project, "host": host}) as app:
        user = sign_in_anonymously(get_auth(app)).user
        messages = collection(get_firestore(app), "rooms", room, "messages")
        newest = query(messages, order_by("sentAt"), limit_to_last(HISTORY))
        unsubscribe = on_snapshot(newest, show, complain)
        print(f"{name} is in the {room}; Ctrl-D leaves", flush=True)
        for line in sys.stdin:
            if text := line.strip():
                message = {"from": user.uid, "name": name, "text": text}
                add_doc(messages, {**message, "sentAt": server_timestamp()})
        unsubscribe()


def main() -> int:
    arguments = parser.parse_args()
    try:
        chat(arguments.host, arguments.project, arguments.room, arguments.name)
    except FirebaseError as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
