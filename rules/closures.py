"""The closures that expressions become. Each takes the `Runtime` and returns a value or raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rules import tree
from rules.builtins import call_method, compare, contained, member
from rules.builtins.casts import to_string
from rules.builtins.methods import matches
from rules.errors import EvaluationError, EvaluationLimitError, UnprovableError
from rules.regex import InvalidPattern, Pattern
from rules.runtime import LIMIT_MESSAGE, Compiled, Runtime, Thunk
from rules.types import Abstract, DocumentMap, LazyMap, Path, Value, type_name
from rules.types.equality import equal
from rules.types.limits import MAX_SEGMENTS


def undefined(rt: Runtime) -> Value:
    raise EvaluationError("Null value error.")


class CompiledFunction:
    """A user's function, compiled in the scope where it was declared.

    `most`: what its body and variables cost at the most. `cheap_lets`: none of them calls anything.
    """

    __slots__ = ("body", "cheap_lets", "lets", "most")

    def __init__(self) -> None:
        self.lets: tuple[Compiled, ...] = ()
        self.cheap_lets = True
        self.body: Compiled = undefined
        self.most = 0


def traced(node: tree.Expr, run: Compiled) -> Compiled:
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


def key_error(key: Value) -> EvaluationError:
    if type(key) is Abstract:
        return UnprovableError("The query does not pin the key.")
    return EvaluationError(f"Type error. Received: [{type_name(key)}] Expected: [string].")


def raiser(message: str) -> Compiled:
    def run(rt: Runtime) -> Value:
        raise EvaluationError(message)

    return run


def unknown_function(name: str) -> Compiled:
    return raiser(f"Function not found error: Name: [{name}].")


def charged(run: Compiled, cost: int) -> Compiled:
    """What may be skipped, counted where it is entered."""

    def charged(rt: Runtime) -> Value:
        rt.left -= cost
        if rt.left < 0:
            raise EvaluationLimitError(LIMIT_MESSAGE)
        return run(rt)

    return charged


def local(slot: int) -> Compiled:
    def read(rt: Runtime) -> Value:
        frame = rt.locals
        value = frame[slot]
        if type(value) is Thunk:
            value = frame[slot] = value.force(rt)
        return value

    return read


def request_member(name: str) -> Compiled:
    if name == "path":
        return lambda rt: rt.path

    def read(rt: Runtime) -> Value:
        try:
            return rt.request[name]
        except KeyError:
            raise EvaluationError(f"Property {name} is undefined on object.") from None

    return read


def member_of(receiver: Compiled, name: str) -> Compiled:
    if name == "data":
        return data_of(receiver)

    def read(rt: Runtime) -> Value:
        value = receiver(rt)
        kind = type(value)
        if kind is dict or kind is LazyMap:
            try:
                return value[name]
            except KeyError:
                raise EvaluationError(f"Property {name} is undefined on object.") from None
        return member(value, name)

    return read


def data_of(receiver: Compiled) -> Compiled:
    """`….data`, which is mostly asked of a document."""

    def read(rt: Runtime) -> Value:
        value = receiver(rt)
        return value.data if type(value) is DocumentMap else member(value, "data")

    return read


def chain(operands: tuple[Compiled, ...], ends: bool) -> Compiled:
    """`&&` (ends on false) and `||` (ends on true), left to right.

    An error waits whether a later operand ends it all the same.
    """
    if len(operands) == 2:
        return pair(*operands, ends)
    goes_on = not ends

    def run(rt: Runtime) -> Value:
        pending: EvaluationError | None = None
        for operand in operands:
            try:
                value = operand(rt)
            except EvaluationError as error:
                pending = pending or error
                continue
            if value is ends:
                return ends
            if value is not goes_on:
                pending = pending or not_bool(value)
        if pending is not None:
            raise pending
        return goes_on

    return run


def pair(first: Compiled, second: Compiled, ends: bool) -> Compiled:
    """A chain of two, by far the most frequent, without the loop."""
    goes_on = not ends

    def run(rt: Runtime) -> Value:
        try:
            value = first(rt)
        except EvaluationError as error:
            pending = error
        else:
            if value is goes_on:
                value = second(rt)
                if value is True or value is False:
                    return value
                raise not_bool(value)
            if value is ends:
                return ends
            pending = not_bool(value)
        try:
            if second(rt) is ends:
                return ends
        except EvaluationError:
            pass
        raise pending

    return run


def negated(run: Compiled) -> Compiled:
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


def equality(left: Compiled, right: Compiled) -> Compiled:
    def run(rt: Runtime) -> Value:
        one = left(rt)
        other = right(rt)
        if type(one) is str and type(other) is str:
            return one == other
        return equal(one, other)

    return run


def null_test(operand: Compiled, wanted: bool) -> Compiled:
    def run(rt: Runtime) -> Value:
        value = operand(rt)
        if value is None:
            return wanted
        if type(value) is Abstract:
            return equal(value, None) is wanted
        return not wanted

    return run


def comparison(op: str, left: Compiled, right: Compiled) -> Compiled:
    def run(rt: Runtime) -> Value:
        return compare(op, left(rt), right(rt))

    return run


def membership(item: Compiled, holder: Compiled) -> Compiled:
    def run(rt: Runtime) -> Value:
        held = holder(rt)
        return contained(item(rt), held)

    return run


def type_test(name: str) -> Callable[[Value], bool]:
    """`is name` of a value."""

    def test(value: Value) -> bool:
        if type(value) is Abstract:
            return value.is_type(name)
        actual = type_name(value)
        if name == "number":
            return actual in ("int", "float")
        # `is set` is false even for a set (measured on the official emulator).
        return actual == name and name != "set"

    return test


def path_of(parts: tuple[str | Compiled, ...]) -> Compiled:
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


def document_lookup(label: str, args: tuple[Compiled, ...]) -> Compiled:
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


def lazy_call(
    function: CompiledFunction, args: tuple[Compiled, ...], lets: tuple[Compiled, ...]
) -> Compiled:
    """A call whose arguments and variables are evaluated when first read."""

    def run(rt: Runtime) -> Value:
        caller = rt.locals
        frame: list[Any] = [Thunk(arg, caller) for arg in args]
        for let in lets:
            frame.append(Thunk(let, frame))
        rt.locals = frame
        try:
            return function.body(rt)
        finally:
            rt.locals = caller

    return run


def eager_call(
    function: CompiledFunction, args: tuple[Compiled, ...], lets: tuple[Compiled, ...]
) -> Compiled:
    """A call whose arguments and variables are so cheap that all are evaluated beforehand.

    One that has no value is left to be evaluated where it is read: only there is its error one.
    """

    def run(rt: Runtime) -> Value:
        caller = rt.locals
        frame: list[Any]
        try:
            frame = [arg(rt) for arg in args]
        except EvaluationError:
            frame = [Thunk(arg, caller) for arg in args]
        rt.locals = frame
        try:
            for let in lets:
                try:
                    frame.append(let(rt))
                except EvaluationError:
                    frame.append(Thunk(let, frame))
            return function.body(rt)
        finally:
            rt.locals = caller

    return run


def literal_matches(run: Compiled, dynamic: Compiled, node: tree.Expr) -> Compiled | None:
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
