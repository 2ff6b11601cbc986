"""The Realtime Database's JSON rules, applied to documents (protocol section 7)."""

from rules.json_dialect.loading import compile_json_rules

__all__ = ["compile_json_rules"]
