"""What a PostgreSQL database defines itself, beside its tables: functions, operators, casts, fields of composite types.

A function of the database can run with other rights than the role's. It is called by its name, by an operator, by a
cast and by attribute notation (`(x).secret_of`), so the guard has to know these names. Extensions do not count: they
are installed by an administrator.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlglot import exp


@dataclass(frozen=True, slots=True)
class OwnCode:
    """`functions` and `operators` hold names, `casts` the types that are cast to by a function of the database.

    `fields` are the fields of its composite types that no function with one argument is called like.
    """

    functions: frozenset[str] = frozenset()
    operators: frozenset[str] = frozenset()
    casts: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()

    def operator(self, node: exp.Expr) -> str:
        """The operator of this node where it is one of the database's own, else empty."""
        if not self.operators:
            return ""
        return next((symbol for symbol in _symbols(node) if symbol in self.operators), "")


def _symbols(node: exp.Expr) -> tuple[str, ...]:
    """The operators that PostgreSQL computes this node with."""
    match node:
        case exp.Case() if node.this is None:
            return ()
        case exp.Join() if not node.args.get("using") and node.method != "NATURAL":
            return ()
        case exp.Anonymous() if str(node.this).lower() != "nullif":
            return ()
    return _SYMBOLS.get(type(node), ())


_SYMBOLS: Final[Mapping[type[exp.Expr], tuple[str, ...]]] = {
    **dict.fromkeys((exp.Case, exp.Join, exp.Anonymous), ("=",)),
    exp.Add: ("+",),
    exp.Sub: ("-",),
    exp.Neg: ("-",),
    exp.Mul: ("*",),
    exp.Div: ("/",),
    exp.Mod: ("%",),
    exp.Pow: ("^",),
    exp.DPipe: ("||",),
    exp.EQ: ("=",),
    exp.NEQ: ("<>", "="),
    exp.In: ("=", "<>"),
    exp.NullSafeEQ: ("=",),
    exp.NullSafeNEQ: ("=",),
    exp.Between: ("<=", ">="),
    exp.LT: ("<",),
    exp.LTE: ("<=",),
    exp.GT: (">",),
    exp.GTE: (">=",),
    exp.Like: ("~~", "!~~"),
    exp.ILike: ("~~*", "!~~*"),
    exp.SimilarTo: ("~", "!~"),
    exp.RegexpLike: ("~", "!~"),
    exp.RegexpILike: ("~*", "!~*"),
    exp.BitwiseAnd: ("&",),
    exp.BitwiseOr: ("|",),
    exp.BitwiseXor: ("#",),
    exp.BitwiseNot: ("~",),
    exp.BitwiseLeftShift: ("<<",),
    exp.BitwiseRightShift: (">>",),
    exp.ArrayContainsAll: ("@>",),
    exp.ArrayContainedBy: ("<@",),
    exp.ArrayOverlaps: ("&&",),
    exp.JSONExtract: ("->",),
    exp.JSONExtractScalar: ("->>",),
    exp.JSONBExtract: ("#>",),
    exp.JSONBExtractScalar: ("#>>",),
    exp.JSONBContainsTopKey: ("?",),
    exp.JSONBContainsAnyTopKeys: ("?|",),
    exp.JSONBContainsAllTopKeys: ("?&",),
    exp.JSONBPathExists: ("@?",),
    exp.JSONBDeleteAtPath: ("#-",),
    exp.MatchAgainst: ("@@",),
    exp.StartsWith: ("^@",),
    exp.Distance: ("<->",),
    exp.Adjacent: ("-|-",),
    exp.ExtendsLeft: ("&<",),
    exp.ExtendsRight: ("&>",),
    exp.Sqrt: ("|/",),
    exp.Cbrt: ("||/",),
}
