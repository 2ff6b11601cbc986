"""Print ``docs/settings.md`` from the settings themselves."""

from __future__ import annotations

from baas.settings import Settings

HEAD = """# Settings

From weakest to strongest: the default, the file `homefire.toml` (or `--config FILE`), the environment
variable (`HOMEFIRE_` and the name in capitals, such as `HOMEFIRE_PORT`), the flag (`--port`, or
`--set name=value` for any). A setting that does not hold is refused at start with its name and what it
may be. Lists are separated by commas. Maps are tables in the file (`[api_keys]`), elsewhere
`key=value,key=value`; [auth.md](auth.md#settings) has examples. Made by
`python scripts/list_settings.py > docs/settings.md`.

| setting | default | meaning |
|---|---|---|"""


def main() -> None:
    """Print it."""
    print(HEAD)
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, (), {}) else f"`{field.default}`"
        print(f"| `{name}` | {default} | {field.description} |")


if __name__ == "__main__":
    main()
