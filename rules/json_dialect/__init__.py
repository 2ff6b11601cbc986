from rules.ruleset import Ruleset
from rules.source import Source
def compile_json_rules(text: Source) -> Ruleset: raise NotImplementedError
