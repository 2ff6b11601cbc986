"""``homefire users``: accounts, from the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from baas.api.identity_admin import read_user
from baas.api.identity_render import account_json
from baas.api.identity_request import Fields
from baas.auth import foreign_hashes
from baas.auth.accounts import Account
from baas.auth.admin import MAX_BATCH, MAX_PAGE, AdminChange, ImportedUser
from baas.auth.errors import AuthError
from baas.auth.options import Scope
from baas.auth.passwords import is_hash
from baas.auth.service import AuthService
from baas.cli.offline import with_auth
from baas.cli.serve import fail
from baas.errors import ApiError
from baas.settings import Settings

app = typer.Typer(
    help="Accounts. The server of the data folder must be stopped.", no_args_is_help=True
)

Data = Annotated[Path | None, typer.Option(help="The data folder.")]
Config = Annotated[Path | None, typer.Option(help="A settings file.")]
Project = Annotated[str | None, typer.Option(help="The project; by default the default one.")]
Uid = Annotated[str, typer.Argument(help="The account's uid.")]


class InputOrder(StrEnum):
    """What is hashed first, in the words of ``firebase auth:import``."""

    SALT_FIRST = "SALT_FIRST"
    PASSWORD_FIRST = "PASSWORD_FIRST"


_ORDERS = {
    InputOrder.SALT_FIRST: "SALT_AND_PASSWORD",
    InputOrder.PASSWORD_FIRST: "PASSWORD_AND_SALT",
}


@app.command("list")
def list_all(project: Project = None, data: Data = None, config: Config = None) -> None:
    """List the accounts, one a line: uid, email, and whether it is disabled."""

    async def work(service: AuthService, settings: Settings) -> list[Account]:
        return await _all(service, Scope(project or settings.project))

    for account in with_auth(data, config, work):
        disabled = " disabled" if account.disabled else ""
        typer.echo(f"{account.uid} {account.email or account.phone_number or '-'}{disabled}")


@app.command()
def create(
    email: Annotated[str, typer.Argument(help="The email address.")],
    verified: Annotated[bool, typer.Option(help="The address is the user's own.")] = False,
    project: Project = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Create an account. The password is read from standard input (asked for on a terminal)."""
    password = _password()

    async def work(service: AuthService, settings: Settings) -> str:
        change = AdminChange(email=email, password=password, email_verified=verified)
        created = await service.admin.create(Scope(project or settings.project), change)
        return created.uid

    typer.echo(with_auth(data, config, work, make=True))


@app.command()
def update(
    uid: Uid,
    password: Annotated[bool, typer.Option(help="Read a new password.")] = False,
    disabled: Annotated[bool | None, typer.Option(help="Lock out, or let in again.")] = None,
    verified: Annotated[bool | None, typer.Option(help="Whether the address is theirs.")] = None,
    claims: Annotated[str | None, typer.Option(help="Custom claims, a JSON object.")] = None,
    drop_factors: Annotated[bool, typer.Option(help="Remove the second factors.")] = False,
    project: Project = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Change an account."""
    change = AdminChange(
        password=_password() if password else None,
        disabled=disabled,
        email_verified=verified,
        custom_claims=claims,
        second_factors=[] if drop_factors else None,
    )

    async def work(service: AuthService, settings: Settings) -> None:
        await service.admin.update(Scope(project or settings.project), uid, change)

    with_auth(data, config, work)


@app.command()
def delete(uid: Uid, project: Project = None, data: Data = None, config: Config = None) -> None:
    """Delete an account."""

    async def work(service: AuthService, settings: Settings) -> None:
        await service.admin.delete(Scope(project or settings.project), uid)

    with_auth(data, config, work)


@app.command("export")
def export_all(
    output: Annotated[Path, typer.Argument(help="Where the JSON is written.")],
    project: Project = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Write all accounts in the format of `firebase auth:export`. The file holds password hashes."""
    if output.exists():
        fail(f"{output} exists")

    async def work(service: AuthService, settings: Settings) -> list[Account]:
        return await _all(service, Scope(project or settings.project))

    users = [_exported(account) for account in with_auth(data, config, work)]
    output.touch(mode=0o600)
    output.write_text(json.dumps({"users": users}, indent=2) + "\n", encoding="utf-8")
    typer.echo(f"{len(users)} accounts")


@app.command("import")
def import_all(
    source: Annotated[Path, typer.Argument(help="A file of `auth:export` or `users export`.")],
    hash_algo: Annotated[
        str | None, typer.Option(help="SCRYPT, BCRYPT, PBKDF2_SHA256, ARGON2_ID, ...")
    ] = None,
    hash_key: Annotated[str | None, typer.Option(help="The signer key, base64.")] = None,
    salt_separator: Annotated[str | None, typer.Option(help="Base64.")] = None,
    rounds: Annotated[int | None, typer.Option(help="Rounds of the hash.")] = None,
    mem_cost: Annotated[
        int | None, typer.Option(help="Memory cost: of scrypt, or of Argon2 in KiB.")
    ] = None,
    parallelization: Annotated[int | None, typer.Option(help="Of scrypt and Argon2.")] = None,
    block_size: Annotated[int | None, typer.Option(help="Of scrypt.")] = None,
    dk_len: Annotated[int | None, typer.Option(help="Length of scrypt's key.")] = None,
    hash_input_order: Annotated[
        InputOrder | None, typer.Option(help="Of salt and password in HMAC and SHA.")
    ] = None,
    project: Project = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Import accounts, replacing those of the same uid; exit 1 if some could not be."""
    given: dict[str, object] = {
        "hashAlgorithm": hash_algo,
        "signerKey": hash_key,
        "saltSeparator": salt_separator,
        "rounds": rounds,
        "memoryCost": mem_cost,
        "cpuMemCost": mem_cost,
        "parallelization": parallelization,
        "blockSize": block_size,
        "dkLen": dk_len,
        "passwordHashOrder": hash_input_order and _ORDERS[hash_input_order],
    }
    if hash_algo and hash_algo.startswith("ARGON2_"):
        given["hashAlgorithm"] = "ARGON2"
        given["argon2Parameters"] = {
            "hashType": hash_algo,
            "memoryCostKib": mem_cost,
            "iterations": rounds,
            "parallelism": parallelization,
        }
    users = _read(source, {name: value for name, value in given.items() if value is not None})

    async def work(service: AuthService, settings: Settings) -> list[tuple[int, str]]:
        scope = Scope(project or settings.project)
        failed = []
        for start in range(0, len(users), MAX_BATCH):
            batch = users[start : start + MAX_BATCH]
            found = await service.admin.import_users(scope, batch)
            failed += [(start + index, words) for index, words in found]
        return failed

    failed = with_auth(data, config, work, make=True)
    for index, words in failed:
        typer.echo(f"users[{index}]: {words}", err=True)
    typer.echo(f"{len(users) - len(failed)} of {len(users)} accounts imported")
    if failed:
        raise typer.Exit(1)


async def _all(service: AuthService, scope: Scope) -> list[Account]:
    found: list[Account] = []
    token = ""
    while True:
        page, token = await service.admin.page(scope, size=MAX_PAGE, token=token)
        found += page
        if not token:
            return found


def _exported(account: Account) -> dict[str, Any]:
    """An account as `auth:export` writes it. Hashes of ours are in a field of our own, whole."""
    user = account_json(account)
    user.pop("passwordHash", None)
    user.pop("mfaInfo", None)
    if account.password_hash:
        user["homefirePasswordHash"] = account.password_hash
    return user


def _read(source: Path, hashing: dict[str, Any]) -> list[ImportedUser | ApiError]:
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
        parameters = foreign_hashes.read_parameters(hashing) if hashing else None
    except (OSError, ValueError) as error:
        fail(f"cannot read {source}: {error}")
    except AuthError as error:
        fail(str(error))
    found = content.get("users") if isinstance(content, dict) else None
    if not isinstance(found, list):
        fail(f'{source} is no file of accounts: it must be an object with a list "users"')
    return list(_imported(found, parameters))


def _imported(
    found: list[Any], parameters: foreign_hashes.Parameters | None
) -> Iterator[ImportedUser | ApiError]:
    for entry in found:
        fields = Fields(entry if isinstance(entry, dict) else {})
        user = read_user(fields, parameters)
        own = fields.optional_text("homefirePasswordHash")
        if own and isinstance(user, ImportedUser):
            if not is_hash(own):
                user = AuthError("INVALID_PASSWORD_HASH")
            else:
                user.columns["password_hash"] = own
        yield user


def _password() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\n")
