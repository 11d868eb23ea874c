"""Which names a block of Python defines for the blocks after it, and which it takes for granted."""

import builtins
import symtable
from collections.abc import Iterable, Iterator

from tests.docs.blocks import Block

_ALWAYS_THERE = {*dir(builtins), "__name__", "__file__"}


def undefined(found: Iterable[Block]) -> Iterator[str]:
    """Yield a line for each name that a reader of the blocks so far, copying them, does not have.

    *found* are the blocks of one page, in their order. Hidden ones define nothing for a reader.
    """
    known = set(_ALWAYS_THERE)
    for block in found:
        if block.language == "python" and not block.hidden:
            table = symtable.symtable(block.code, str(block), "exec")
            known |= _defined(table)
            if missing := sorted(_used(table) - known):
                yield f"{block} uses {', '.join(missing)}, which no shown block defines"


def _defined(module: symtable.SymbolTable) -> set[str]:
    symbols = module.get_symbols()
    return {it.get_name() for it in symbols if it.is_assigned() or it.is_imported()}


def _used(table: symtable.SymbolTable) -> set[str]:
    """Return the global names that are read in *table* and in the functions and classes in it."""
    at_the_top = table.get_type() == "module"
    used = {
        it.get_name()
        for it in table.get_symbols()
        if it.is_referenced() and (at_the_top or it.is_global())
    }
    return used.union(*map(_used, table.get_children()))
