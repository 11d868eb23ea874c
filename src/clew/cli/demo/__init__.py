"""``clew demo``: runs a conversation with several frameworks, without keys, and shows it."""

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from clew.cli import _terminal
from clew.core.frameworks import FRAMEWORKS
from clew.core.spelling import names_by_spelling, normalized
from clew.store.location import store_path

_NAMES = [row.name for row in FRAMEWORKS]


def _names(_: click.Context, __: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the frameworks that *names* mean; any usual spelling is understood."""
    by_name = names_by_spelling(FRAMEWORKS)
    found = []
    for name in names:
        if normalized(name) not in by_name:
            message = f"{name!r} is not one of {', '.join(map(repr, _NAMES))}"
            raise click.BadParameter(message)
        found.append(by_name[normalized(name)])
    return tuple(found)


@click.command(short_help="Run a conversation without keys, and show it.")
@click.argument("frameworks", nargs=-1, callback=_names, metavar=f"[{'|'.join(_NAMES)}]...")
@click.option(
    "--store",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The store to use.  [default: CLEW_STORE, or .clew/sessions.db]",
)
@click.option("--spans", is_flag=True, help="Show the spans of every turn, not only of one.")
def command(*, frameworks: tuple[str, ...], store: Path | None, spans: bool) -> None:
    """Run one conversation with several frameworks, without keys, and show its session.

    The models' answers are recorded, and nothing leaves this machine. FRAMEWORKS: the ones to use;
    all that are installed, if none is named. The conversation is kept in the store.
    """
    place = store or store_path()
    if place is None:  # CLEW_STORE=off
        with TemporaryDirectory(prefix="clew-demo-") as folder:
            _show(frameworks, Path(folder) / "sessions.db", trees=spans)
        return
    _show(frameworks, place, trees=spans)
    option = f" --store {store}" if store else ""
    commands = f"clew view{option}, or clew sessions chat-42{option}"
    _terminal.write(f"\nIt is kept in {place}; look at it with: {commands}")


def _show(frameworks: tuple[str, ...], store: Path, *, trees: bool) -> None:
    from clew.cli.demo.conversation import run_conversation  # It imports the SDK

    for part in run_conversation(frameworks, store, trees=trees):
        _terminal.write(part)
