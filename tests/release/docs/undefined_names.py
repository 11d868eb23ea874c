"""Finds the names that the Python blocks of a page use and that no earlier block defines."""

import builtins
import symtable
from collections.abc import Iterable, Iterator

from tests.release.docs.blocks import Block

_PREDEFINED = {*dir(builtins), "__name__", "__file__"}


def undefined(found: Iterable[Block]) -> Iterator[str]:
    """Yield a line for each block with names that a reader who copies all blocks so far lacks.

    *found* are the blocks of one page, in order. Hidden ones define nothing for a reader.
    """
    known = set(_PREDEFINED)
    for block in found:
        if block.language == "python" and not block.hidden:
            table = symtable.symtable(block.code, str(block), "exec")
            known |= _defined(table)
            if missing := sorted(_used(table) - known):
                yield f"{block} uses {', '.join(missing)}, which no shown block defines"


def _defined(module: symtable.SymbolTable) -> set[str]:
    symbols = module.get_symbols()
    return {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}


def _used(table: symtable.SymbolTable) -> set[str]:
    """Return the global names that are read in *table* and in the functions and classes in it."""
    is_module = table.get_type() == "module"
    used = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (is_module or symbol.is_global())
    }
    return used.union(*map(_used, table.get_children()))
