"""From the tree to closures.

Each closure takes the `Runtime` and returns a value or raises. Costs are counted as the tree says
(one per evaluated node), but statically: an expression whose parts all run is charged at once where it
is entered; only what may be skipped (right sides of `&&` and `||`, branches, arguments, function
bodies) is charged on its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rules import tree
from rules.builtins import (
    FREE_FUNCTIONS,
    NAMESPACE_FUNCTIONS,
    add,
    call_function,
    call_method,
    compare,
    contained,
    divide,
    index,
    member,
    modulo,
    multiply,
    negate,
    slice_of,
    subtract,
)
from rules.builtins.casts import to_string
from rules.builtins.methods import matches
from rules.builtins.namespaces import LOOKUP_FUNCTIONS
from rules.errors import EvaluationError, EvaluationLimitError, UnprovableError
from rules.regex import InvalidPattern, Pattern
from rules.runtime import LIMIT_MESSAGE, Compiled, Runtime, Thunk
from rules.scopes import NAMESPACES, FunctionInfo, Scope
from rules.types import Abstract, Path, Value, type_name
from rules.types.equality import equal
from rules.types.limits import MAX_SEGMENTS

_OPERATORS: dict[str, Callable[[Value, Value], Value]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": modulo,
}


class CompiledFunction:
    """A user's function, compiled in the scope where it was declared."""

    __slots__ = ("body", "cost", "lets", "parameters")

    def __init__(self) -> None:
        self.parameters = 0
        self.lets: tuple[tuple[Compiled, int], ...] = ()
        self.body: Compiled = _null
        self.cost = 0


def _null(rt: Runtime) -> Value:
    raise EvaluationError("Null value error.")


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
        return (_traced(node, run) if self._instrument else run), cost

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
                return _type_test(run, name), cost + 1
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
            return _local(slot)
        at = self._scope.capture(name)
        if at is not None:
            return lambda rt: rt.captures[at]
        if name == "request":
            return lambda rt: rt.whole_request()
        if name == "resource":
            return lambda rt: rt.resource
        return _null

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
            return _request_member(name), 2
        run, cost = self.compile(receiver)
        return _member_of(run, name), cost + 1

    # --- operators

    def _logical(self, node: tree.Logical) -> tuple[Compiled, int]:
        parts = [self.compile(operand) for operand in node.operands]
        first, cost = parts[0]
        rest = tuple(parts[1:])
        return _chain(first, rest, node.op == "||"), cost + len(rest)

    def _binary(self, node: tree.Binary) -> tuple[Compiled, int]:
        op = node.op
        if op in ("==", "!="):
            return self._equality(node)
        left, cost_left = self.compile(node.left)
        right, cost_right = self.compile(node.right)
        cost = cost_left + cost_right + 1
        if op == "in":
            return _in(left, right), cost
        if op in ("<", "<=", ">", ">="):
            return _comparison(op, left, right), cost
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
            return _null_test(left, node.op == "=="), cost
        if node.op == "==":
            return _equals(left, right), cost
        return (lambda rt: not equal(left(rt), right(rt))), cost

    def _unary(self, node: tree.Unary) -> tuple[Compiled, int]:
        run, cost = self.compile(node.operand)
        if node.op == "-":
            return (lambda rt: negate(run(rt))), cost + 1
        return _not(run), cost + 1

    def _ternary(self, node: tree.Ternary) -> tuple[Compiled, int]:
        condition, cost = self.compile(node.condition)
        then = _charged(*self.compile(node.then))
        otherwise = _charged(*self.compile(node.otherwise))

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
                    raise _key_error(key)
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
        return _path_of(tuple(parts)), total

    # --- calls

    def _call(self, node: tree.Call) -> tuple[Compiled, int]:
        info = self._scope.function(node.name)
        if info is not None:
            return self._user_call(node, info), 1
        name = node.name
        if name not in FREE_FUNCTIONS:
            return _unknown_function(name), 1
        runs, cost = self._all(node.args)
        if name in LOOKUP_FUNCTIONS:
            return _lookup(name, runs), cost + 1
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
            return _raiser(message)
        if not args and not info.decl.lets:
            return _plain_call(function)
        return _framed_call(function, args)

    def _method(self, node: tree.MethodCall) -> tuple[Compiled, int]:
        receiver, name = node.receiver, node.name
        if isinstance(receiver, tree.Name) and self._is_namespace(receiver.name):
            return self._namespace_call(receiver.name, node)
        run, cost = self.compile(receiver)
        args, cost_args = self._all(node.args)
        total = cost + cost_args + 1
        if name == "matches" and len(args) == 1:
            fast = _literal_matches(run, args[0], node.args[0])
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
            return _unknown_function(node.name), 2
        found = overloads
        runs, cost = self._all(node.args)
        label = f"{namespace}.{node.name}"
        if namespace == "firestore":
            return _lookup(label, runs), cost + 2
        return (lambda rt: call_function(label, found, [run(rt) for run in runs])), cost + 2


# --- closures


def _traced(node: tree.Expr, run: Compiled) -> Compiled:
    def traced(rt: Runtime) -> Value:
        try:
            value = run(rt)
        except EvaluationError as error:
            if rt.tracer is not None:
                rt.tracer.error(node, error)
            raise
        if rt.tracer is not None:
            rt.tracer.value(node, value)
        return value

    return traced


def not_bool(value: Value) -> EvaluationError:
    """The error of a value that stands where a bool must."""
    if type(value) is Abstract:
        return UnprovableError("The query does not pin the condition.")
    return EvaluationError(f"Type error. Received: [{type_name(value)}] Expected: [bool].")


def _key_error(key: Value) -> EvaluationError:
    if type(key) is Abstract:
        return UnprovableError("The query does not pin the key.")
    return EvaluationError(f"Type error. Received: [{type_name(key)}] Expected: [string].")


def _raiser(message: str) -> Compiled:
    def run(rt: Runtime) -> Value:
        raise EvaluationError(message)

    return run


def _unknown_function(name: str) -> Compiled:
    return _raiser(f"Function not found error: Name: [{name}].")


def _charged(run: Compiled, cost: int) -> Compiled:
    def charged(rt: Runtime) -> Value:
        rt.left -= cost
        if rt.left < 0:
            raise EvaluationLimitError(LIMIT_MESSAGE)
        return run(rt)

    return charged


def _local(slot: int) -> Compiled:
    def read(rt: Runtime) -> Value:
        frame = rt.locals
        value = frame[slot]
        if type(value) is Thunk:
            value = frame[slot] = value.force(rt)
        return value

    return read


def _request_member(name: str) -> Compiled:
    if name == "path":
        return lambda rt: rt.path

    def read(rt: Runtime) -> Value:
        try:
            return rt.request[name]
        except KeyError:
            raise EvaluationError(f"Property {name} is undefined on object.") from None

    return read


def _member_of(receiver: Compiled, name: str) -> Compiled:
    def read(rt: Runtime) -> Value:
        value = receiver(rt)
        if type(value) is dict and name in value:
            return value[name]
        return member(value, name)

    return read


def _chain(first: Compiled, rest: tuple[tuple[Compiled, int], ...], ends: bool) -> Compiled:
    """`&&` (ends on false) and `||` (ends on true), left to right.

    An error waits whether a later operand ends it all the same.
    """
    if len(rest) == 1:
        return _pair(first, rest[0][0], rest[0][1], ends)

    def run(rt: Runtime) -> Value:
        pending: EvaluationError | None = None
        operand = first
        at = -1
        while True:
            try:
                value = operand(rt)
                if value is ends:
                    return ends
                if value is not (not ends):
                    raise not_bool(value)
            except EvaluationError as error:
                pending = pending or error
            at += 1
            if at == len(rest):
                break
            operand, cost = rest[at]
            rt.left -= cost
            if rt.left < 0:
                raise EvaluationLimitError(LIMIT_MESSAGE)
        if pending is not None:
            raise pending
        return not ends

    return run


def _pair(first: Compiled, second: Compiled, cost: int, ends: bool) -> Compiled:
    """A chain of two, by far the most frequent, without the loop."""
    goes_on = not ends

    def run(rt: Runtime) -> Value:
        pending: EvaluationError | None = None
        try:
            value = first(rt)
            if value is ends:
                return ends
            if value is not goes_on:
                pending = not_bool(value)
        except EvaluationError as error:
            pending = error
        rt.left -= cost
        if rt.left < 0:
            raise EvaluationLimitError(LIMIT_MESSAGE)
        if pending is None:
            value = second(rt)
            if value is True or value is False:
                return value
            raise not_bool(value)
        try:
            if second(rt) is ends:
                return ends
        except EvaluationError:
            pass
        raise pending

    return run


def _not(run: Compiled) -> Compiled:
    def negated(rt: Runtime) -> Value:
        value = run(rt)
        if value is True:
            return False
        if value is False:
            return True
        if type(value) is Abstract:
            raise UnprovableError("The query does not pin the negated value.")
        raise EvaluationError(
            f"Unsupported operation error. Received: !{type_name(value)}. Expected: !bool."
        )

    return negated


def _equals(left: Compiled, right: Compiled) -> Compiled:
    def run(rt: Runtime) -> Value:
        one = left(rt)
        other = right(rt)
        if type(one) is str and type(other) is str:
            return one == other
        return equal(one, other)

    return run


def _null_test(operand: Compiled, wanted: bool) -> Compiled:
    def run(rt: Runtime) -> Value:
        value = operand(rt)
        if value is None:
            return wanted
        if type(value) is Abstract:
            return equal(value, None) is wanted
        return not wanted

    return run


def _comparison(op: str, left: Compiled, right: Compiled) -> Compiled:
    def run(rt: Runtime) -> Value:
        return compare(op, left(rt), right(rt))

    return run


def _in(item: Compiled, holder: Compiled) -> Compiled:
    def run(rt: Runtime) -> Value:
        held = holder(rt)
        return contained(item(rt), held)

    return run


def _type_test(operand: Compiled, name: str) -> Compiled:
    def run(rt: Runtime) -> Value:
        value = operand(rt)
        if type(value) is Abstract:
            return value.is_type(name)
        actual = type_name(value)
        if name == "number":
            return actual in ("int", "float")
        # `is set` is false even for a set (measured on the official emulator).
        return actual == name and name != "set"

    return run


def _path_of(parts: tuple[str | Compiled, ...]) -> Compiled:
    def run(rt: Runtime) -> Value:
        segments: list[str] = []
        for part in parts:
            if isinstance(part, str):
                segments.append(part)
                continue
            value = part(rt)
            if type(value) is str:
                segments.append(value)
            elif type(value) is Path:
                segments.extend(value.segments)
            elif type(value) is Abstract:
                raise UnprovableError("The query does not pin a segment of the path.")
            else:
                segments.append(to_string(value))
            if len(segments) > MAX_SEGMENTS:
                raise EvaluationError("The path is too long.")
        return Path(tuple(segments))

    return run


def _lookup(label: str, args: tuple[Compiled, ...]) -> Compiled:
    """`get(path)` and its kin. A path that is not pinned is never read."""

    def run(rt: Runtime) -> Value:
        values = [arg(rt) for arg in args]
        if len(values) != 1:
            raise EvaluationError(
                f"Incorrect number of arguments. Received: {len(values)}. Expected: {label}(path)."
            )
        target = values[0]
        if type(target) is not Path:
            if type(target) is Abstract:
                raise UnprovableError(f"The query does not pin what {label}() reads.")
            raise EvaluationError(
                f"Unsupported operation error. Received: {label}({type_name(target)}). "
                f"Expected: {label}(path)."
            )
        return rt.lookups.call(label, target)

    return run


def _plain_call(function: CompiledFunction) -> Compiled:
    """Without arguments and lets nothing needs a frame: the body reads captures and globals only."""

    def run(rt: Runtime) -> Value:
        rt.left -= function.cost
        if rt.left < 0:
            raise EvaluationLimitError(LIMIT_MESSAGE)
        return function.body(rt)

    return run


def _framed_call(function: CompiledFunction, args: tuple[tuple[Compiled, int], ...]) -> Compiled:
    def run(rt: Runtime) -> Value:
        rt.left -= function.cost
        if rt.left < 0:
            raise EvaluationLimitError(LIMIT_MESSAGE)
        caller = rt.locals
        frame: list[Any] = [Thunk(code, cost, caller) for code, cost in args]
        for code, cost in function.lets:
            frame.append(Thunk(code, cost, frame))
        rt.locals = frame
        try:
            return function.body(rt)
        finally:
            rt.locals = caller

    return run


def _literal_matches(run: Compiled, dynamic: Compiled, node: tree.Expr) -> Compiled | None:
    """`matches('…')` with its pattern compiled beforehand."""
    if not (isinstance(node, tree.Literal) and isinstance(node.value, str)):
        return None
    try:
        pattern = Pattern(node.value)
    except InvalidPattern:
        return None

    def match(rt: Runtime) -> Value:
        value = run(rt)
        if type(value) is str:
            return matches(value, pattern)
        return call_method(value, "matches", (dynamic(rt),))

    return match
