"""Which names a piece of Python code binds, and which it reads before it has bound them itself."""

import ast
from collections.abc import Iterable


def binds(code: str) -> set[str]:
    """Names that the code binds at its top level: assigned, imported, defined, or targets of loops and ``with``.

    Raises:
        SyntaxError: it is not Python.
    """
    return _scope(code).bound


def reads(code: str) -> set[str]:
    """Names that the code reads from outside; a function's body counts as read where the function is defined.

    Raises:
        SyntaxError: it is not Python.
    """
    return _scope(code).read


def _scope(code: str) -> "_Scope":
    scope = _Scope(set())
    for statement in ast.parse(code).body:
        scope.visit(statement)
    return scope


class _Scope(ast.NodeVisitor):
    """Walks one scope in the order of execution; branches count as if all were taken."""

    def __init__(self, bound: Iterable[str]):
        self.bound = set(bound)
        self.read: set[str] = set()

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.bound.add(node.id)
        elif node.id not in self.bound:
            self.read.add(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._visit(node.value, *node.targets)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self._visit(node.value, node.target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name) and node.target.id not in self.bound:
            self.read.add(node.target.id)
        self._visit(node.value, node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._visit(node.value, node.target)

    def visit_For(self, node: ast.For) -> None:
        self._visit(node.iter, node.target, *node.body, *node.orelse)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        inner = self._inner([node.name] if node.name else [])
        for child in node.body:
            inner.visit(child)
        if node.type:
            self.visit(node.type)
        self.read |= inner.read
        self.bound |= inner.bound - ({node.name} if node.name else set())

    def visit_Import(self, node: ast.Import) -> None:
        self.bound |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.bound |= {alias.asname or alias.name for alias in node.names}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit(*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d))
        self.bound.add(node.name)
        self._function(node.args, node.body)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit(*node.args.defaults, *(d for d in node.args.kw_defaults if d))
        self._function(node.args, [node.body])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._visit(*node.decorator_list, *node.bases)
        inner = self._inner([])
        for child in node.body:
            inner.visit(child)
        self.read |= inner.read
        self.bound.add(node.name)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehension(node.generators, node.elt)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._comprehension(node.generators, node.elt)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._comprehension(node.generators, node.elt)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node.generators, node.key, node.value)

    def _visit(self, *nodes: ast.AST) -> None:
        for node in nodes:
            self.visit(node)

    def _inner(self, bound: Iterable[str]) -> "_Scope":
        return _Scope(self.bound | set(bound))

    def _function(self, args: ast.arguments, body: Iterable[ast.AST]) -> None:
        named = [*args.posonlyargs, *args.args, *args.kwonlyargs, *filter(None, (args.vararg, args.kwarg))]
        inside = [node for part in body for node in ast.walk(part) if isinstance(node, ast.Name)]
        stored = [node.id for node in inside if isinstance(node.ctx, ast.Store)]  # local, wherever it stands
        inner = self._inner([*(arg.arg for arg in named), *stored])
        inner._visit(*body)
        self.read |= inner.read

    def _comprehension(self, generators: list[ast.comprehension], *values: ast.AST) -> None:
        inner = self._inner([])
        for generator in generators:
            inner._visit(generator.iter, generator.target, *generator.ifs)
        inner._visit(*values)
        self.read |= inner.read
