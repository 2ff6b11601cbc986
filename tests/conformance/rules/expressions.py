"""Expressions over every type, operator, method and function, to compare runtimes by."""

from __future__ import annotations

import random

OPERANDS = (
    "null", "true", "false", "0", "1", "-3", "2.5", "1.0", "'a'", "'abc'", "''", "'é1'", "'a,b,c'",
    "'(a)(b)'", "'aAb'.toUtf8()", "[]", "[1,2]", "['a','b']", "[1.0,'a']", "[[1],[2]]", "[null]",
    "{}", "{'a':1}", "{'a':1.0,'b':'x'}", "{'m':{'a':1}}", "[1,2].toSet()", "['a'].toSet()",
    "duration.value(1,'s')", "duration.value(-90,'m')", "timestamp.value(0)",
    "timestamp.date(2024,2,29)", "latlng.value(1,2)", "/a/b", "{'a':1}.diff({'b':2})",
    "9223372036854775807", "1.0 / 0", "request.auth.uid",
)  # fmt: skip
OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "in", "&&", "||")
METHODS = (
    "size", "lower", "upper", "trim", "toUtf8", "toBase64", "toHexString", "toSet", "keys", "values",
    "addedKeys", "removedKeys", "changedKeys", "affectedKeys", "unchangedKeys", "seconds", "nanos",
    "year", "month", "day", "hours", "minutes", "dayOfWeek", "dayOfYear", "date", "time", "toMillis",
    "latitude", "longitude", "length", "contains",
)  # fmt: skip
METHODS_OF_ONE = (
    "matches", "split", "hasAll", "hasAny", "hasOnly", "concat", "removeAll", "join", "diff",
    "union", "intersection", "difference", "bind", "distance", "get", "has",
)  # fmt: skip
FUNCTIONS = (
    "math.abs", "math.ceil", "math.floor", "math.round", "math.sqrt", "math.isNaN", "math.isInfinite",
    "hashing.md5", "hashing.sha256", "hashing.crc32", "hashing.crc32c", "string", "int", "float",
    "bool", "path", "debug", "duration.abs", "bytes", "timestamp.value",
)  # fmt: skip
FUNCTIONS_OF_TWO = ("math.pow", "latlng.value", "duration.value")
TYPES = (
    "bool", "bytes", "duration", "float", "int", "latlng", "list", "map", "number", "path", "string",
    "timestamp", "set", "map_diff",
)  # fmt: skip

CORNERS = (
    # precedence and association
    "1 + 2 * 3", "10 - 2 - 3", "100 / 10 / 5", "7 % 4 * 2", "-2 * 3", "!true || true", "- 2 - 3",
    "1 < 2 && 2 < 3", "true ? false ? 1 : 2 : 3", "false ? 1 : true ? 2 : 3", "true && false || true",
    "false == 1 in [false]", "true == 1 in [1]", "1 in [1] in [true]", "1 in [1] == true",
    "1 is int is bool", "1 + 1 is int", "1 < 2 in [true]", "!true in [false]", "1 == 1 == true",
    # numbers
    "1 == 1.0", "9007199254740993 == 9007199254740992.0", "9223372036854775807 < 9223372036854775808.0",
    "-9223372036854775808 < 0", "-9223372036854775808 / -1", "-9223372036854775808 % -1", "-5 / 2",
    "-5 % 3", "5.0 % -3", "1.0 % 0.0", "5 / 0", "5 % 0", "0.0 == -0.0", "[0.0] == [-0.0]",
    "-0.0 in [0.0]", "1 in [1.0]", "[1] == [1.0]", "[1,1.0].toSet().size()", "1.0 in [1].toSet()",
    "{'a':1}.diff({'a':1.0}).changedKeys().size()", "math.sqrt(-1) == math.sqrt(-1)",
    "[math.sqrt(-1)].toSet() == [math.sqrt(-1)].toSet()", "math.round(-0.5)", "math.round(1.0 / 0)",
    "math.round(0.49999999999999994)", "math.pow(0,-1)", "math.pow(2,1024)", "math.pow(-2,1025)",
    "math.abs(-9223372036854775808)", "int(1.0 / 0)", "int(math.sqrt(-1))", "int('+5')", "int('5 ')",
    "int('9223372036854775808')", "float('1e400')", "float('1f')", "float(' 1 ')", "float('nan')",
    "string(1.0)", "string(10000000.0)", "string(0.0001)", "string(9999999.999)", "string(-0.0)",
    # strings
    "'a😀b'.size()", "'a😀b'[1:3]", "'\\uffff' < '😀'", "'é'.upper()", "'ß'.upper()", "'\\u00a0a'.trim()",
    "'\\u0001a\\t'.trim()", "'abc'.split('')", "'a,b,,'.split(',')", "','.split(',')", "''.split('a')",
    "'ab'.split('b*')", "'a1b'.split('([0-9])')", "'abc'.replace('','-')", "'abc'.replace('b*','-')",
    "'abc'.replace('(a)(b)','$2$1')", "'abc'.replace('a','$9')", "'abc'.replace('(a)','$10')",
    "'abc'.replace('a','\\\\$')", "'abc'.replace('a','$$')", "'xyz'.replace('(?P<f>x)(y)','${f}$2')",
    "'a\\nb'.matches('a.b')", "'a\\nb'.matches('(?s)a.b')", "'é'.matches('\\\\w')", "'ab'.matches('a')",
    "'😀'.matches('.')", "'É'.matches('(?i)é')", "'a'.matches('[[:alpha:]]')", "'abc'[0:0]", "'abc'[1:1]",
    "'abc'[3]", "'abc'[-1]", "[1,2,3][0:3]", "[1,2,3][3:3]", "[][0:0]",
    # maps, lists, sets
    "{'b':1,'a':2}.keys()", "{'b':2,'a':1}.values()", "{'a':1,'a':2}.a", "{1:2}", "{'a':null}.get('a',2)",
    "{'a':{'b':1}}.get(['a','b'],2)", "{'a':1}.get(['a','b'],2)", "{'a':1}.get([],2)", "{'a':1}.get([1],2)",
    "{'a':1}.get('b')", "[1].hasAll([1].toSet())", "[1].toSet().hasAll([1.0])", "[1].hasOnly([])",
    "[1].removeAll([1.0])", "[1,[2]].join('')", "[1,true,null,1.5].join(',')", "[1].toSet()[0]",
    "[1].toSet().union([2])", "{'a':1}.diff({}) == {'a':1}.diff({})",
    # paths
    "path('/a//b')", "path('a/b')", "path('')", "string(path('a/b'))", "path('/a/%20')[1]", "/a/$(1)",
    "/a/$(/b/c)", "/a/$('b/c') == /a/b/c", "path('/a/{x}').bind({'x':'b'})['x']",
    "path('/a/{x}').bind({'y':'b'})", "path('/a/{x=**}').bind({'x':/b/c})", "path('/a/{x}')[1]",
    "path('/a/{x}') == path('/a/{x}')", "/a/b[2]",
    # time
    "timestamp.value(-1).nanos()", "timestamp.date(2020,2,30)", "timestamp.date(10000,1,1)",
    "duration.value(1,'x')", "duration.value(-1500,'ms').nanos()", "duration.time(25,61,61,0).seconds()",
    "duration.value(9223372036854775807,'w')", "timestamp.value(0) + duration.value(100000000,'w')",
    "timestamp.date(1970,1,2) - timestamp.value(0)", "duration.value(1,'s') * 2",
    "timestamp.value('2020-01-01T00:00:00Z')", "latlng.value(91,0)",
    "latlng.value(-0.0,0) == latlng.value(0,0)",
    # errors
    "null.a", "'a'.b", "[].a", "request.nosuch", "nosuch", "nosuch(1)", "'a' in null", "1 in {'a':1}",
    "1 in 'a'", "!null", "-'a'", "null || true", "null && false", "1 && (1 / 0 == 1)", "1 ? 2 : 3",
    "true ? 1 : 1 / 0", "(1 / 0 == 1) || true", "[1 / 0].size()", "debug(1 / 0) == 1",
)  # fmt: skip


def sample(count: int, seed: int) -> list[str]:
    """A fixed random choice out of every combination of operators, methods and operands."""
    chance = random.Random(seed)
    pick = chance.choice
    makers = (
        lambda: f"({pick(OPERANDS)}).{pick(METHODS)}()",
        lambda: f"({pick(OPERANDS)}).{pick(METHODS_OF_ONE)}({pick(OPERANDS)})",
        lambda: f"({pick(OPERANDS)}) {pick(OPERATORS)} ({pick(OPERANDS)})",
        lambda: f"({pick(OPERANDS)}) {pick(OPERATORS)} ({pick(OPERANDS)})",
        lambda: f"{pick(FUNCTIONS)}({pick(OPERANDS)})",
        lambda: f"{pick(FUNCTIONS_OF_TWO)}({pick(OPERANDS)}, {pick(OPERANDS)})",
        lambda: f"({pick(OPERANDS)}) is {pick(TYPES)}",
        lambda: f"({pick(OPERANDS)})[{pick(OPERANDS)}]",
    )
    return [pick(makers)() for _ in range(count)]
