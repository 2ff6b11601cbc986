"""From the tree to closures.

Each closure takes the `Runtime` and returns a value or raises. Costs are counted as the tree says
(one per evaluated node), but statically: an expression whose parts all run is charged at once where it
is entered; only what may be skipped (right sides of `&&` and `||`, branches, arguments, function
bodies) is charged on its own.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from functools import partial

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
from rules.builtins.signatures import Overload
from rules.closures import (
    CompiledFunction,
    chain,
    charged,
    comparison,
    document_lookup,
    eager_call,
    equality,
    key_error,
    lazy_call,
    literal_matches,
    local,
    member_of,
    membership,
    negated,
    not_bool,
    path_of,
    raiser,
    request_member,
    traced,
    type_test,
    undefined,
    unknown_function,
)
from rules.fused import (
    auth_uid,
    constant,
    constant_of,
    field,
    fused_binary,
    fused_method,
    is_cheap,
    is_exactly,
    local_member,
)
from rules.runtime import Code, Compiled, Runtime
from rules.scopes import NAMESPACES, FunctionInfo, Scope
from rules.types import Path, Value
from rules.types.equality import equal


class Mode(enum.Enum):
    """What the closures do beside evaluating."""

    QUICK = "quick"
    """Nothing: for statements that cannot reach the limit of expressions whatever they evaluate."""
    COUNTED = "counted"
    """They count expressions."""
    TRACED = "traced"
    """They count, and tell the runtime's tracer of every value."""


class FunctionTable:
    """Compiles each function once."""

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
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
        lets: list[Compiled] = []
        for at, let in enumerate(decl.lets, len(slots)):
            # A let does not see itself: the same name above, a capture or a global is meant.
            compiler = ExpressionCompiler(info.scope, self, dict(slots), self._mode)
            run, most = compiler.skippable(let.value)
            lets.append(run)
            made.most += most
            made.cheap_lets = made.cheap_lets and is_cheap(let.value)
            slots[let.name] = at
        made.lets = tuple(lets)
        compiler = ExpressionCompiler(info.scope, self, slots, self._mode)
        made.body, most = compiler.skippable(decl.result)
        made.most += most


class ExpressionCompiler:
    """Compiles expressions of one place: its scope and its local slots."""

    def __init__(
        self, scope: Scope, functions: FunctionTable, slots: dict[str, int], mode: Mode
    ) -> None:
        self._scope = scope
        self._functions = functions
        self._slots = slots
        self._mode = mode
        self._traced = mode is Mode.TRACED

    def compile(self, node: tree.Expr) -> Code:
        """The closure and what it costs."""
        made = self._dispatch(node)
        return made._replace(run=traced(node, made.run)) if self._traced else made

    def skippable(self, node: tree.Expr) -> tuple[Compiled, int]:
        """The closure of an expression that may be skipped, counting itself where that is the mode, and
        the most that it can cost."""
        run, cost, most = self.compile(node)
        return (run if self._mode is Mode.QUICK else charged(run, cost)), most

    def _dispatch(self, node: tree.Expr) -> Code:
        match node:
            case tree.Literal(value=value):
                return Code(constant(value), 1, 1)
            case tree.Paren(inner=inner):
                run, cost, most = self.compile(inner)
                return Code(run, cost + 1, most + 1)
            case tree.Name(name=name):
                return Code(self._name(name), 1, 1)
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
                return self._around((operand,), lambda run: is_exactly(run, name, type_test(name)))
            case tree.Index(receiver=receiver, index=key):
                return self._around((receiver, key), lambda a, b: lambda rt: index(a(rt), b(rt)))
            case tree.Slice(receiver=receiver, low=low, high=high):
                return self._around(
                    (receiver, low, high),
                    lambda a, b, c: lambda rt: slice_of(a(rt), b(rt), c(rt)),
                )
            case tree.ListLiteral(items=items):
                return self._literal(
                    node, items, lambda *runs: lambda rt: [run(rt) for run in runs]
                )
            case tree.MapLiteral(entries=entries):
                return self._map(node, entries)
            case tree.PathLiteral(segments=segments):
                return self._path(segments)
        raise TypeError(f"not an expression of the rules language: {type(node).__name__}")

    def _around(
        self, parts: tuple[tree.Expr, ...], make: Callable[..., Compiled], own: int = 1
    ) -> Code:
        """The code of an expression all of whose parts are evaluated. `own`: how many expressions it is."""
        codes = [self.compile(part) for part in parts]
        return Code(
            make(*(code.run for code in codes)),
            sum(code.cost for code in codes) + own,
            sum(code.most for code in codes) + own,
        )

    def _literal(
        self, node: tree.Expr, parts: tuple[tree.Expr, ...], make: Callable[..., Compiled]
    ) -> Code:
        """A list or map, made once if nothing in it can change."""
        code = self._around(parts, make)
        value = None if self._traced else constant_of(node)
        return code if value is None else code._replace(run=constant(value[0]))

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

    def _member(self, node: tree.Member) -> Code:
        receiver, name = node.receiver, node.name
        if not self._traced:
            if self._is_global(receiver, "request"):
                return Code(request_member(name), 2, 2)
            if isinstance(receiver, tree.Name) and receiver.name in self._slots and name != "data":
                return Code(local_member(self._slots[receiver.name], name), 2, 2)
            if isinstance(receiver, tree.Member):
                inner = receiver.receiver
                if receiver.name == "auth" and name == "uid" and self._is_global(inner, "request"):
                    return Code(auth_uid, 3, 3)
                if receiver.name == "data" and name != "data":
                    return self._around((inner,), lambda run: field(run, name), 2)
        return self._around((receiver,), lambda run: member_of(run, name))

    # --- operators

    def _logical(self, node: tree.Logical) -> Code:
        first = self.compile(node.operands[0])
        rest = [self.skippable(operand) for operand in node.operands[1:]]
        runs = (first.run, *(run for run, _ in rest))
        most = first.most + sum(most + 1 for _, most in rest)
        return Code(chain(runs, node.op == "||"), first.cost + len(rest), most)

    def _binary(self, node: tree.Binary) -> Code:
        make = None if self._traced else fused_binary(node)
        return self._around((node.left, node.right), make or _BINARY[node.op])

    def _unary(self, node: tree.Unary) -> Code:
        if node.op == "-":
            return self._around((node.operand,), lambda run: lambda rt: negate(run(rt)))
        return self._around((node.operand,), negated)

    def _ternary(self, node: tree.Ternary) -> Code:
        condition, cost, most = self.compile(node.condition)
        then, most_then = self.skippable(node.then)
        otherwise, most_otherwise = self.skippable(node.otherwise)

        def run(rt: Runtime) -> Value:
            chosen = condition(rt)
            if chosen is True:
                return then(rt)
            if chosen is False:
                return otherwise(rt)
            raise not_bool(chosen)

        return Code(run, cost + 1, most + 1 + max(most_then, most_otherwise))

    # --- literals with parts

    def _map(self, node: tree.Expr, entries: tuple[tuple[tree.Expr, tree.Expr], ...]) -> Code:
        def make(*runs: Compiled) -> Compiled:
            pairs = tuple(zip(runs[::2], runs[1::2], strict=True))

            def run(rt: Runtime) -> Value:
                made: dict[str, Value] = {}
                for key_of, value_of in pairs:
                    key = key_of(rt)
                    if type(key) is not str:
                        raise key_error(key)
                    made[key] = value_of(rt)
                return made

            return run

        return self._literal(node, tuple(part for entry in entries for part in entry), make)

    def _path(self, segments: tuple[str | tree.Expr, ...]) -> Code:
        texts = tuple(segment for segment in segments if isinstance(segment, str))
        if len(texts) == len(segments):
            return Code(constant(Path(texts)), 1, 1)

        def make(*runs: Compiled) -> Compiled:
            rest = iter(runs)
            return path_of(
                tuple(part if isinstance(part, str) else next(rest) for part in segments)
            )

        return self._around(tuple(part for part in segments if not isinstance(part, str)), make)

    # --- calls

    def _call(self, node: tree.Call) -> Code:
        info = self._scope.function(node.name)
        if info is not None:
            return self._user_call(node, info)
        name = node.name
        if name not in FREE_FUNCTIONS:
            return Code(unknown_function(name), 1, 1)
        if name in LOOKUP_FUNCTIONS:
            return self._around(node.args, lambda *runs: document_lookup(name, runs))
        return self._around(node.args, partial(_function, name, FREE_FUNCTIONS[name]))

    def _user_call(self, node: tree.Call, info: FunctionInfo) -> Code:
        function = self._functions.get(info)
        if len(node.args) != len(info.decl.parameters):
            message = (
                f"Incorrect number of arguments for {node.name}: {len(node.args)}, "
                f"expected {len(info.decl.parameters)}."
            )
            return Code(raiser(message), 1, 1)
        args = [self.skippable(arg) for arg in node.args]
        most = 1 + function.most + sum(most for _, most in args)
        if not args and not function.lets:
            # Nothing needs a frame: the body reads captures and globals only.
            return Code(function.body, 1, most)
        cheap = function.cheap_lets and all(map(is_cheap, node.args))
        call = eager_call if self._mode is Mode.QUICK and cheap else lazy_call
        return Code(call(function, tuple(run for run, _ in args), function.lets), 1, most)

    def _method(self, node: tree.MethodCall) -> Code:
        receiver = node.receiver
        if isinstance(receiver, tree.Name) and self._is_namespace(receiver.name):
            return self._namespace_call(receiver.name, node)
        fused = None if self._traced else fused_method(node)
        if fused is not None:
            return self._around(fused.parts, fused.make, fused.own)
        return self._around((receiver, *node.args), partial(_method, node))

    def _is_namespace(self, name: str) -> bool:
        return name in NAMESPACES and name not in self._slots and self._scope.capture(name) is None

    def _namespace_call(self, namespace: str, node: tree.MethodCall) -> Code:
        overloads = NAMESPACE_FUNCTIONS.get((namespace, node.name))
        if overloads is None:
            return Code(unknown_function(node.name), 2, 2)
        label = f"{namespace}.{node.name}"
        if namespace == "firestore":
            return self._around(node.args, lambda *runs: document_lookup(label, runs), 2)
        return self._around(node.args, partial(_function, label, overloads), 2)


def _function(label: str, overloads: tuple[Overload, ...], *runs: Compiled) -> Compiled:
    return lambda rt: call_function(label, overloads, [run(rt) for run in runs])


def _method(node: tree.MethodCall, receiver: Compiled, *args: Compiled) -> Compiled:
    name = node.name
    if not args:
        return lambda rt: call_method(receiver(rt), name, ())
    if len(args) == 1:
        only = args[0]
        fast = literal_matches(receiver, only, node.args[0]) if name == "matches" else None
        return fast or (lambda rt: call_method(receiver(rt), name, (only(rt),)))
    return lambda rt: call_method(receiver(rt), name, [arg(rt) for arg in args])


def _applied(run: Callable[[Value, Value], Value]) -> Callable[[Compiled, Compiled], Compiled]:
    return lambda left, right: lambda rt: run(left(rt), right(rt))


_BINARY: dict[str, Callable[[Compiled, Compiled], Compiled]] = {
    "+": _applied(add),
    "-": _applied(subtract),
    "*": _applied(multiply),
    "/": _applied(divide),
    "%": _applied(modulo),
    "==": equality,
    "!=": _applied(lambda left, right: not equal(left, right)),
    "in": membership,
    **{op: partial(comparison, op) for op in ("<", "<=", ">", ">=")},
}
