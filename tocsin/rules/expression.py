"""The condition language: text in, a `Condition` out, errors with a column and what would be valid. Never `eval`.

condition  = kind [ "where" any ]
any        = all { "or" all }
all        = one { "and" one }
one        = "not" one | "(" any ")" | test
test       = field op constant | field [ "not" ] "in" "(" constant { "," constant } ")" | field "exists"
field      = "value" | "severity" | "source" | "feed" | "text" | "id" | "attrs." name
op         = "==" | "!=" | "<" | "<=" | ">" | ">="
constant   = number [ UCUM unit ] | "quoted text" | severity name | "true" | "false"
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple, NoReturn

from tocsin.kernel.fault import nearest
from tocsin.model.units import UnitError, resolve

from .condition import (
    EQUALITY,
    FIELDS,
    KEYWORDS,
    ORDER,
    SEVERITIES,
    All,
    AnyOf,
    Comparison,
    Condition,
    Constant,
    Level,
    Negation,
    Quantity,
    Where,
)

MAX_LENGTH = 20_000
MAX_DEPTH = 20
_KIND = re.compile(r"[a-z][a-z0-9_-]*(?:\.[a-z0-9][a-z0-9_-]*)*(?![A-Za-z0-9_.-])", re.ASCII)
_TOKEN = re.compile(
    r"""\s*(?:(?P<op><=|>=|==|!=|<|>|=)|(?P<punct>[(),])|(?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)
        |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<word>[A-Za-z_][A-Za-z0-9_.-]*))""",
    re.VERBOSE | re.DOTALL,
)
_UNIT = re.compile(r"\s*((?:\{[^{}]*\}|[^\s,(){}<>=!\"])+)")
_SPACE = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|\s+""", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class ExpressionError(ValueError):
    """What is wrong with a condition. `column` counts from 1 in the condition's text."""

    def __init__(self, column: int, message: str) -> None:
        super().__init__(f"column {column}: {message}")
        self.column = column


class _Token(NamedTuple):
    kind: str  # op, punct, number, string, word, end
    text: str
    at: int
    unit: str = ""


def parse_condition(text: str) -> Condition:
    """`call.fire where severity >= severe` -> Condition. Raises ExpressionError."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(1, f"{len(text)} characters; at most {MAX_LENGTH} are read")
    start = len(text) - len(text.lstrip())
    match = _KIND.match(text, start)
    if match is None or match[0] in KEYWORDS:
        raise ExpressionError(start + 1, "a kind of event is expected: small letters and dots, as in fire.smoke")
    after = match.end()
    rest = text[after:]
    plain = _on_one_line(text)
    if not rest.strip():
        return Condition(match[0], None, plain)
    keyword = re.match(r"\s+where\b", rest)
    if keyword is None:
        found = rest.split()[0]
        raise ExpressionError(
            after + len(rest) - len(rest.lstrip()) + 1, f"{found!r} stands where 'where' is expected, as in {match[0]} where value >= 10 mm"
        )
    return Condition(match[0], _Parser(text, after + keyword.end()).whole(), plain)


def _on_one_line(text: str) -> str:
    """As written, but for the spaces and line breaks between the words; what stands in quotes means something."""
    return _SPACE.sub(lambda match: match[1].replace("\n", "\\n") if match[1] else " ", text).strip()


def _tokens(text: str, position: int) -> list[_Token]:
    tokens: list[_Token] = []
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            rest = text[position:]
            if not rest.strip():
                break
            _unexpected(text, position + len(rest) - len(rest.lstrip()))
        kind = str(match.lastgroup)
        at, position, unit = match.start(kind), match.end(), ""
        if kind == "number":
            found = _UNIT.match(text, position)
            if found is not None and found[1] not in KEYWORDS:
                unit, position = found[1], found.end()
        tokens.append(_Token(kind, match[kind], at, unit))
    return [*tokens, _Token("end", "", len(text.rstrip()))]


def _unexpected(text: str, at: int) -> NoReturn:
    if text[at] in "\"'":
        raise ExpressionError(at + 1, f"the quote {text[at]} is never closed")
    hints = {"&": "; write 'and'", "|": "; write 'or'", "!": "; write 'not' or '!='"}
    raise ExpressionError(at + 1, f"unexpected {text[at]!r}{hints.get(text[at], '')}")


class _Parser:
    """Recursive descent over the tokens after `where`."""

    def __init__(self, text: str, start: int) -> None:
        self.tokens = _tokens(text, start)
        self.next = 0

    def peek(self) -> _Token:
        return self.tokens[self.next]

    def take(self) -> _Token:
        token = self.tokens[self.next]
        self.next += token.kind != "end"
        return token

    def bad(self, token: _Token, message: str) -> NoReturn:
        raise ExpressionError(token.at + 1, message)

    def is_word(self, word: str) -> bool:
        token = self.peek()
        return token.kind == "word" and token.text == word

    def whole(self) -> Where:
        where = self.any_of(0)
        token = self.peek()
        if token.kind != "end":
            hint = "; a comparison has one operator, join two with 'and'" if token.kind == "op" else "; join comparisons with 'and' or 'or'"
            self.bad(token, f"unexpected {token.text!r}{hint}")
        return where

    def any_of(self, depth: int) -> Where:
        terms = [self.all_of(depth)]
        while self.is_word("or"):
            self.take()
            terms.append(self.all_of(depth))
        flat = tuple(inner for term in terms for inner in (term.terms if isinstance(term, AnyOf) else (term,)))
        return flat[0] if len(flat) == 1 else AnyOf(flat)

    def all_of(self, depth: int) -> Where:
        terms = [self.one(depth)]
        while self.is_word("and"):
            self.take()
            terms.append(self.one(depth))
        flat = tuple(inner for term in terms for inner in (term.terms if isinstance(term, All) else (term,)))
        return flat[0] if len(flat) == 1 else All(flat)

    def one(self, depth: int) -> Where:
        token = self.peek()
        if depth > MAX_DEPTH:
            self.bad(token, f"nested deeper than {MAX_DEPTH} levels")
        if self.is_word("not"):
            self.take()
            return Negation(self.one(depth + 1))
        if token.text == "(" and token.kind == "punct":
            self.take()
            where = self.any_of(depth + 1)
            if self.take().text != ")":
                self.bad(token, "'(' is never closed")
            return where
        return self.test()

    def test(self) -> Comparison:
        name = self.field()
        token = self.take()
        if token.kind == "word" and token.text == "exists":
            return Comparison(name, "exists")
        negated = token.kind == "word" and token.text == "not"
        if negated:
            token = self.take()
            if not (token.kind == "word" and token.text == "in"):
                self.bad(token, f"'in' is expected after '{name} not', as in {name} not in (...)")
        if token.kind == "word" and token.text == "in":
            return Comparison(name, "not in" if negated else "in", self.constants(name))
        if token.text == "=":
            self.bad(token, "'=' is no comparison; write '=='")
        if token.kind != "op":
            self.bad(token, f"{_found(token)} where a comparison is expected: {', '.join((*EQUALITY, *ORDER))}, in, not in or exists")
        if token.text in ORDER and FIELDS.get(name, "").startswith("text"):
            self.bad(token, f"{name!r} is text and has no order; compare it with ==, !=, in or not in")
        constant = self.constant(name)
        if token.text in ORDER and isinstance(constant, str | bool):
            self.bad(token, f"{_kind(constant)} has no order; compare it with ==, !=, in or not in")
        return Comparison(name, token.text, (constant,))

    def field(self) -> str:
        token = self.take()
        if token.kind != "word":
            self.bad(token, f"{_found(token)} where a field is expected: {', '.join(FIELDS)} or attrs.<name>")
        if token.text == "exists":
            self.bad(token, "'exists' stands after the field, as in attrs.depth exists")
        head, _, attribute = token.text.partition(".")
        if head == "attrs" and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", attribute):
            return token.text
        if token.text not in FIELDS:
            if token.text == "kind":
                self.bad(token, "the kind stands before 'where' and covers everything below it: call covers call.fire")
            self.bad(token, f"unknown field {token.text!r}; {nearest(token.text, [*FIELDS, 'attrs.<name>'])}")
        return token.text

    def constants(self, name: str) -> tuple[Constant, ...]:
        opening = self.take()
        if opening.text != "(":
            self.bad(opening, f"{_found(opening)} where '(' is expected, as in {name} in (...)")
        found = [self.constant(name)]
        while self.peek().text == ",":
            self.take()
            found.append(self.constant(name))
            if type(found[-1]) is not type(found[0]):
                self.bad(
                    self.tokens[self.next - 1],
                    f"{_kind(found[-1])} in a list that begins with {_kind(found[0])}; write one kind of constant",
                )
        closing = self.take()
        if closing.text != ")":
            self.bad(closing, f"{_found(closing)} where ',' or ')' is expected")
        return tuple(found)

    def constant(self, name: str) -> Constant:
        token = self.take()
        constant = self.read_constant(token)
        expected = FIELDS.get(name)
        fits: dict[str, type] = {"value": Quantity, "severity": Level, "source": str, "feed": str, "text": str, "id": str}
        if expected is not None and not isinstance(constant, fits[name]):
            valid = nearest(token.text, SEVERITIES) if name == "severity" else f"write {expected}"
            what = "nothing" if token.kind == "end" else repr(token.text)
            self.bad(token, f"{name} is compared with {what}; {valid}")
        if constant is None and token.kind in ("punct", "op", "end"):
            self.bad(token, f'{_found(token)} where a constant is expected, as in {name} == "A" or {name} in ("A", "B")')
        if constant is None or (expected is None and isinstance(constant, Level)):
            self.bad(token, f'{_found(token)} where a constant is expected; text stands in quotes, as in "{token.text or "text"}"')
        if expected is None and isinstance(constant, Quantity) and constant.unit:
            self.bad(token, f"only 'value' has a unit; write {name} as the plain number the feed gives")
        return constant

    def read_constant(self, token: _Token) -> Constant | None:
        if token.kind == "number":
            number = float(token.text)
            if not math.isfinite(number):
                self.bad(token, f"{token.text} is too large a number")
            if token.unit:
                try:
                    resolve(token.unit)
                except UnitError as fault:
                    self.bad(token, str(fault))
            return Quantity(number, token.unit)
        if token.kind == "string":
            return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), token.text[1:-1])
        if token.kind == "word" and token.text in SEVERITIES:
            return Level(SEVERITIES[token.text])
        return {"true": True, "false": False}.get(token.text) if token.kind == "word" else None


def _found(token: _Token) -> str:
    return "nothing stands" if token.kind == "end" else f"{token.text!r} stands"


def _kind(constant: Constant) -> str:
    return {Quantity: "a number", Level: "a severity", str: "text", bool: "true or false"}[type(constant)]
