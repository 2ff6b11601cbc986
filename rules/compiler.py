"""From the tree to closures.

Each closure takes the `Runtime` and returns a value or raises. Costs are counted as the tree says
(one per evaluated node), but statically: an expression whose parts all run is charged at once where it
is entered; only what may be skipped (right sides of `&&` and `||`, branches, arguments, function
bodies) is charged on its own.
"""

from __future__ import annotations

from collections.abc import Callable

from rules import tree
from rules.builtins import (
    FREE_FUNCTIONS,
    NAMESPACE_FUNCTIONS,
    add,
    call_function,
    call_method,
    divide,
    index,
    modulo,
    multiply,
    negate,
    slice_of,
    subtract,
)
from rules.builtins.namespaces import LOOKUP_FUNCTIONS
from rules.closures import (
    CompiledFunction,
    chain,
    charged,
    comparison,
    document_lookup,
    equality,
    framed_call,
    key_error,
    literal_matches,
    local,
    member_of,
    membership,
    negated,
    not_bool,
    null_test,
    path_of,
    plain_call,
    raiser,
    request_member,
    traced,
    type_test,
    undefined,
    unknown_function,
)
from rules.runtime import Compiled, Runtime
from rules.scopes import NAMESPACES, FunctionInfo, Scope
from rules.types import Path, Value
from rules.types.equality import equal

_OPERATORS: dict[str, Callable[[Value, Value], Value]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": modulo,
}


class FunctionTable:
    """Compiles each function once."""

    def __init__(self, instrument: bool) -> None:
        self._instrument = instrument
        self._done: dict[FunctionInfo, CompiledFunction] = {}

    def get(self, info: FunctionInfo) -> CompiledFunction:
        made = self._done.get(info)
        if made is None:
            made = self._done[info] = CompiledFunction()
            self._compile(info, made)
        return made

    def _compile(self, info: FunctionInfo, made: CompiledFunction) -> None:
        decl = info.decl
        slots = {name: i for i, name in enumerate(decl.parameters)}
        made.parameters = len(decl.parameters)
        lets: list[tuple[Compiled, int]] = []
        for i, let in enumerate(decl.lets):
            # A let does not see itself: the same name above, a capture or a global is meant.
            compiler = ExpressionCompiler(info.scope, self, dict(slots), self._instrument)
            lets.append(compiler.compile(let.value))
            slots[let.name] = made.parameters + i
        made.lets = tuple(lets)
        compiler = ExpressionCompiler(info.scope, self, slots, self._instrument)
        made.body, made.cost = compiler.compile(decl.result)


class ExpressionCompiler:
    """Compiles expressions of one place: its scope and its local slots."""

    def __init__(
        self, scope: Scope, functions: FunctionTable, slots: dict[str, int], instrument: bool
    ) -> None:
        self._scope = scope
        self._functions = functions
        self._slots = slots
        self._instrument = instrument

    def compile(self, node: tree.Expr) -> tuple[Compiled, int]:
        """The closure and what entering it costs."""
        run, cost = self._dispatch(node)
        return (traced(node, run) if self._instrument else run), cost

    def _dispatch(self, node: tree.Expr) -> tuple[Compiled, int]:
        match node:
            case tree.Literal(value=value):
                return (lambda rt: value), 1
            case tree.Paren(inner=inner):
                run, cost = self.compile(inner)
                return run, cost + 1
            case tree.Name(name=name):
                return self._name(name), 1
            case tree.Member():
                return self._member(node)
            case tree.Logical():
                return self._logical(node)
            case tree.Binary():
                return self._binary(node)
            case tree.Unary():
                return self._unary(node)
            case tree.Call():
                return self._call(node)
            case tree.MethodCall():
                return self._method(node)
            case tree.Ternary():
                return self._ternary(node)
            case tree.TypeTest(operand=operand, type_name=name):
                run, cost = self.compile(operand)
                return type_test(run, name), cost + 1
            case tree.Index(receiver=receiver, index=key):
                return self._two(receiver, key, index)
            case tree.Slice(receiver=receiver, low=low, high=high):
                runs, cost = self._all((receiver, low, high))
                one, two, three = runs
                return (lambda rt: slice_of(one(rt), two(rt), three(rt))), cost + 1
            case tree.ListLiteral(items=items):
                runs, cost = self._all(items)
                return (lambda rt: [run(rt) for run in runs]), cost + 1
            case tree.MapLiteral(entries=entries):
                return self._map(entries)
            case tree.PathLiteral(segments=segments):
                return self._path(segments)
        raise TypeError(f"not an expression of the rules language: {type(node).__name__}")

    def _all(self, nodes: tuple[tree.Expr, ...]) -> tuple[tuple[Compiled, ...], int]:
        parts = [self.compile(node) for node in nodes]
        return tuple(run for run, _ in parts), sum(cost for _, cost in parts)

    def _two(
        self, left: tree.Expr, right: tree.Expr, run: Callable[[Value, Value], Value]
    ) -> tuple[Compiled, int]:
        one, cost_one = self.compile(left)
        two, cost_two = self.compile(right)
        return (lambda rt: run(one(rt), two(rt))), cost_one + cost_two + 1

    # --- names and members

    def _name(self, name: str) -> Compiled:
        slot = self._slots.get(name)
        if slot is not None:
            return local(slot)
        at = self._scope.capture(name)
        if at is not None:
            return lambda rt: rt.captures[at]
        if name == "request":
            return lambda rt: rt.whole_request()
        if name == "resource":
            return lambda rt: rt.resource
        return undefined

    def _is_global(self, node: tree.Expr, name: str) -> bool:
        return (
            isinstance(node, tree.Name)
            and node.name == name
            and name not in self._slots
            and self._scope.capture(name) is None
        )

    def _member(self, node: tree.Member) -> tuple[Compiled, int]:
        receiver, name = node.receiver, node.name
        if not self._instrument and self._is_global(receiver, "request"):
            return request_member(name), 2
        run, cost = self.compile(receiver)
        return member_of(run, name), cost + 1

    # --- operators

    def _logical(self, node: tree.Logical) -> tuple[Compiled, int]:
        parts = [self.compile(operand) for operand in node.operands]
        first, cost = parts[0]
        rest = tuple(parts[1:])
        return chain(first, rest, node.op == "||"), cost + len(rest)

    def _binary(self, node: tree.Binary) -> tuple[Compiled, int]:
        op = node.op
        if op in ("==", "!="):
            return self._equality(node)
        left, cost_left = self.compile(node.left)
        right, cost_right = self.compile(node.right)
        cost = cost_left + cost_right + 1
        if op == "in":
            return membership(left, right), cost
        if op in ("<", "<=", ">", ">="):
            return comparison(op, left, right), cost
        run = _OPERATORS[op]
        return (lambda rt: run(left(rt), right(rt))), cost

    def _equality(self, node: tree.Binary) -> tuple[Compiled, int]:
        left, cost_left = self.compile(node.left)
        right, cost_right = self.compile(node.right)
        cost = cost_left + cost_right + 1
        if (
            isinstance(node.right, tree.Literal)
            and not self._instrument
            and node.right.value is None
        ):
            return null_test(left, node.op == "=="), cost
        if node.op == "==":
            return equality(left, right), cost
        return (lambda rt: not equal(left(rt), right(rt))), cost

    def _unary(self, node: tree.Unary) -> tuple[Compiled, int]:
        run, cost = self.compile(node.operand)
        if node.op == "-":
            return (lambda rt: negate(run(rt))), cost + 1
        return negated(run), cost + 1

    def _ternary(self, node: tree.Ternary) -> tuple[Compiled, int]:
        condition, cost = self.compile(node.condition)
        then = charged(*self.compile(node.then))
        otherwise = charged(*self.compile(node.otherwise))

        def run(rt: Runtime) -> Value:
            chosen = condition(rt)
            if chosen is True:
                return then(rt)
            if chosen is False:
                return otherwise(rt)
            raise not_bool(chosen)

        return run, cost + 1

    # --- literals with parts

    def _map(self, entries: tuple[tuple[tree.Expr, tree.Expr], ...]) -> tuple[Compiled, int]:
        keys, cost_keys = self._all(tuple(key for key, _ in entries))
        values, cost_values = self._all(tuple(value for _, value in entries))

        def run(rt: Runtime) -> Value:
            made: dict[str, Value] = {}
            for key_of, value_of in zip(keys, values, strict=True):
                key = key_of(rt)
                if type(key) is not str:
                    raise key_error(key)
                made[key] = value_of(rt)
            return made

        return run, cost_keys + cost_values + 1

    def _path(self, segments: tuple[str | tree.Expr, ...]) -> tuple[Compiled, int]:
        parts: list[str | Compiled] = []
        total = 1
        for segment in segments:
            if isinstance(segment, str):
                parts.append(segment)
                continue
            run, cost = self.compile(segment)
            parts.append(run)
            total += cost
        if len(parts) == len([part for part in parts if isinstance(part, str)]):
            constant = Path(tuple(part for part in parts if isinstance(part, str)))
            return (lambda rt: constant), total
        return path_of(tuple(parts)), total

    # --- calls

    def _call(self, node: tree.Call) -> tuple[Compiled, int]:
        info = self._scope.function(node.name)
        if info is not None:
            return self._user_call(node, info), 1
        name = node.name
        if name not in FREE_FUNCTIONS:
            return unknown_function(name), 1
        runs, cost = self._all(node.args)
        if name in LOOKUP_FUNCTIONS:
            return document_lookup(name, runs), cost + 1
        overloads = FREE_FUNCTIONS[name]
        return (lambda rt: call_function(name, overloads, [run(rt) for run in runs])), cost + 1

    def _user_call(self, node: tree.Call, info: FunctionInfo) -> Compiled:
        function = self._functions.get(info)
        args = tuple(self.compile(arg) for arg in node.args)
        if len(args) != len(info.decl.parameters):
            message = (
                f"Incorrect number of arguments for {node.name}: {len(args)}, "
                f"expected {len(info.decl.parameters)}."
            )
            return raiser(message)
        if not args and not info.decl.lets:
            return plain_call(function)
        return framed_call(function, args)

    def _method(self, node: tree.MethodCall) -> tuple[Compiled, int]:
        receiver, name = node.receiver, node.name
        if isinstance(receiver, tree.Name) and self._is_namespace(receiver.name):
            return self._namespace_call(receiver.name, node)
        run, cost = self.compile(receiver)
        args, cost_args = self._all(node.args)
        total = cost + cost_args + 1
        if name == "matches" and len(args) == 1:
            fast = literal_matches(run, args[0], node.args[0])
            if fast is not None:
                return fast, total
        if not args:
            return (lambda rt: call_method(run(rt), name, ())), total
        if len(args) == 1:
            only = args[0]
            return (lambda rt: call_method(run(rt), name, (only(rt),))), total
        return (lambda rt: call_method(run(rt), name, [arg(rt) for arg in args])), total

    def _is_namespace(self, name: str) -> bool:
        return name in NAMESPACES and name not in self._slots and self._scope.capture(name) is None

    def _namespace_call(self, namespace: str, node: tree.MethodCall) -> tuple[Compiled, int]:
        overloads = NAMESPACE_FUNCTIONS.get((namespace, node.name))
        if overloads is None:
            return unknown_function(node.name), 2
        found = overloads
        runs, cost = self._all(node.args)
        label = f"{namespace}.{node.name}"
        if namespace == "firestore":
            return document_lookup(label, runs), cost + 2
        return (lambda rt: call_function(label, found, [run(rt) for run in runs])), cost + 2
