"""Checks of an app that was run: what happened in its processes."""

import signal
import sys
from collections.abc import Iterator

from clew.core.install_command import pip_line
from clew.core.wording import number_of
from clew.doctor.findings import Finding, error, note, ok, warning
from clew.doctor.installed import of_framework
from clew.doctor.subject import App, Examined


def check_end(examined: Examined) -> Iterator[Finding]:
    """Find an app that crashed, was killed, or ended with an exit code other than 0."""
    if examined.app is None:
        return
    code, main = examined.app.exit_code, examined.app.main
    raised = main and main["exception"]
    if code < 0:
        yield error("app-end", f"the app was ended by {_signal(-code)}", fix=_FIX_IT)
    elif raised:
        yield error("app-end", f"the app crashed: {raised}", fix=_FIX_IT)
    elif code:
        yield error("app-end", f"the app ended with exit code {code}", fix=_FIX_IT)


_FIX_IT = "repair the app, then run this again"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def check_watched(examined: Examined) -> Iterator[Finding]:
    """Find an app in which clew could observe nothing."""
    if examined.app is None:
        return
    for process in examined.app.processes:
        if "problem" in process:
            problem, python = process["problem"], process["executable"]
            fix = pip_line(python=python, upgrade="ModuleNotFoundError" not in problem)
            if problem.startswith("ValueError"):  # As OpenTelemetry raises over a variable.
                fix = "see the settings above"
            yield error(
                "app-watched",
                f"clew cannot be used in {python}: {problem}",
                fix=fix,
            )
    if not examined.app.processes:
        yield error(
            "app-watched",
            "no Python process of the app reported what happened: it was killed, called "
            "os._exit(), ignores PYTHONPATH (python -I or -E), or is not Python",
            fix="clew doctor -- python app.py",
        )
    elif (main := examined.app.main) and main["prefix"] != sys.prefix:
        yield note(
            "app-watched",
            f"the app runs on another Python than the doctor: {main['executable']}, so the "
            "findings about installed packages do not hold for it",
            fix=f"{main['executable']} -m clew doctor -- {' '.join(examined.app.command)}",
        )


def check_unrecorded(examined: Examined) -> Iterator[Finding]:
    """Find processes that made spans and recorded nothing at their end."""
    if (app := _observed_app(examined)) and (number := app.unrecorded):
        processes = "1 process" if number == 1 else f"{number} processes"
        yield warning(
            "app-watched",
            f"{processes} of the app made spans and recorded nothing, so what follows leaves them "
            "out: killed, ended with os._exit() without being a forked child, or still running",
            fix="let them end by themselves, and give a multiprocessing.Pool "
            "initializer=clew.carry_initializer(): a process that is killed (SIGKILL) loses its "
            "last spans, too",
        )


def check_armed(examined: Examined) -> Iterator[Finding]:
    """Report who turned tracing on."""
    if not (app := _observed_app(examined)) or app.imports_only:
        return
    match {process["started_by"] for process in app.watched}:
        case who if "application" in who:
            yield ok("app-armed", "the app calls instrument_all()")
        case who if "environment" in who:
            yield ok("app-armed", "tracing was turned on without code")
        case _ if failed := next(filter(None, (row["not_started"] for row in app.watched)), ""):
            yield error(
                "app-armed",
                f"tracing cannot be turned on: {failed}",
                fix="see the settings above",
            )
        case _ if not app.unrecorded:
            yield warning(
                "app-armed",
                "the app does not turn tracing on; only the doctor did, for this run",
                fix="call clew.instrument_all() at its start, or start it with: "
                f"opentelemetry-instrument {' '.join(app.command)}",
            )


def check_active(examined: Examined) -> Iterator[Finding]:
    """Report whether each framework that the app imported was traced."""
    if not (app := _observed_app(examined)):
        return
    any_imported = False
    for name, row in app.frameworks().items():
        if row["state"] in {"missing", "waiting"}:
            continue
        any_imported = True
        yield of_framework("app-framework", name, row["state"], row["reason"])
    if not any_imported and not app.unrecorded:
        yield warning(
            "app-framework",
            "the app imports no framework that can be traced",
            fix="clew doctor  (says what is installed, and what is missing)",
        )


def check_spans(examined: Examined) -> Iterator[Finding]:
    """Report how many spans and model calls there were, and how many had a session and a user."""
    if not (app := _observed_app(examined)) or app.imports_only:
        return
    spans = app.counted("spans")
    calls = spans["model_calls"]
    if not calls and app.unrecorded:
        return
    if not calls:
        yield warning(
            "app-calls",
            "the app never called a model, as far as could be seen; it made "
            f"{number_of(spans['ended'], 'span')} of other kinds",
            fix="make it call a model, as it does in production, then run this again",
        )
        return
    made = f"{number_of(spans['ended'], 'span')} made, {number_of(calls, 'model call')} among them"
    if failed := spans["model_calls_failed"]:
        errors = ", ".join(sorted(app.counted("failures"))) or "no exception is named"
        all_of_them = "the only model call" if calls == 1 else f"{failed} of {calls} model calls"
        yield warning(
            "app-calls",
            f"{made}; {all_of_them} failed ({errors})",
            fix="see the app's own output for the reason: only types of exceptions are noted here",
        )
    else:
        yield ok("app-calls", made)
    for kind, block in (("session", "using_session(...)"), ("user", "using_user(...)")):
        lost = spans[f"model_calls_without_{kind}"]
        if not lost:
            yield ok(f"app-{kind}", f"every model call carries a {kind}")
        else:
            say = warning if kind == "session" else note
            yield say(
                f"app-{kind}",
                f"{number_of(calls, 'model call')}, {lost} of them without a {kind}",
                fix=f"with {block}:",
            )


def check_delivered(examined: Examined) -> Iterator[Finding]:
    """Report how many spans each exporter delivered and lost."""
    if not (app := _observed_app(examined)) or app.imports_only:
        return
    for name, counts in app.exporters().items():
        lost = {why: spans for why, spans in counts.items() if why != "exported" and spans}
        if lost:
            reasons = ", ".join(f"{why}: {spans}" for why, spans in lost.items())
            yield error(
                "app-delivery",
                f"{name} lost {number_of(sum(lost.values()), 'span')} ({reasons}), and delivered "
                f"{counts['exported']}",
                name,
                "see above whether the endpoint answers; OTEL_BSP_MAX_QUEUE_SIZE and "
                "CLEW_EXIT_TIMEOUT give it more room and time",
            )
        elif counts["exported"]:
            yield ok(
                "app-delivery", f"{name} delivered {number_of(counts['exported'], 'span')}", name
            )
    if any(process["refused_provider"] for process in app.watched):
        yield error(
            "app-provider",
            "the app set a tracer provider when there was one already; OpenTelemetry refused it, "
            "and its exporters get nothing",
            fix="set the tracer provider before instrument_all(), or pass tracer_provider=",
        )


def check_disagreements(examined: Examined) -> Iterator[Finding]:
    """Find ids that could not be used, or that were overruled."""
    if not (app := _observed_app(examined)):
        return
    for reason, times in sorted(app.counted("refused").items()):
        overruled = "overruled" in reason
        yield (note if overruled else warning)(
            "app-ids",
            f"{reason}: {times}",
            fix="give the framework's conversation the same id as the session, or none"
            if overruled
            else "ids are printable text of at most 256 characters",
        )


def check_contained(examined: Examined) -> Iterator[Finding]:
    """Find errors inside clew, which were kept from the app."""
    if not (app := _observed_app(examined)):
        return
    for where, times in sorted(app.counted("errors").items()):
        yield warning(
            "app-errors",
            f"clew itself failed while {where}, {number_of(times, 'time')}; "
            "the app was not affected",
            fix="report it, with the traceback from the app's log, to the project",
        )


def _observed_app(examined: Examined) -> App | None:
    return examined.app if examined.app is not None and examined.app.watched else None
