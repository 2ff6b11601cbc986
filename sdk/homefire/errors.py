"""What the SDK raises.

::

    FirebaseError                   .code  .message
    ├── AppError                    app/no-app, app/duplicate-app, app/invalid-options, ...
    ├── AuthError                   auth/email-already-in-use, auth/network-request-failed, ...
    ├── FirestoreError              permission-denied, not-found, unavailable, ...
    └── StorageError                storage/unauthorized, storage/object-not-found, ...

The codes are Firebase's own. Programming errors in how a function is called (a path of the wrong
length, a value that cannot be stored) carry codes too (``invalid-argument`` and its like), so one
``except FirebaseError`` covers all that the SDK has to say.
"""

from __future__ import annotations


class FirebaseError(Exception):
    """An error with one of Firebase's codes; ``message`` says in words what happened."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} ({self.code})"


class AppError(FirebaseError):
    """An app is missing, named twice, or configured badly: codes ``app/...``."""


class AuthError(FirebaseError):
    """Signing in, up or out, or keeping a token fresh, has failed: codes ``auth/...``."""


class FirestoreError(FirebaseError):
    """A read, write or listener has failed: the canonical codes in kebab case, without a prefix."""


class StorageError(FirebaseError):
    """An upload, download or another use of an object has failed: codes ``storage/...``."""


__all__ = ["AppError", "AuthError", "FirebaseError", "FirestoreError", "StorageError"]
