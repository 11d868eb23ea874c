"""Lists all checks, in the order in which their findings are shown, and runs them."""

from collections.abc import Callable, Iterator

from clew.doctor import destinations, installed, kept, probe, running, startup, variables
from clew.doctor.findings import Finding, warning
from clew.doctor.subject import Examined

Check = Callable[[Examined], Iterator[Finding]]

SECTIONS: dict[str, tuple[Check, ...]] = {
    "Installed": (
        installed.check_frameworks,
        installed.check_halves,
        installed.check_namespaces,
        installed.check_shared_names,
        installed.check_auto_instrument,
        installed.check_repairs,
    ),
    "Start-up": (
        startup.check_distros,
        startup.check_configurators,
        startup.check_switches,
        startup.check_threads,
    ),
    "Settings": (
        variables.check_names,
        variables.check_values,
        variables.check_propagators,
        variables.check_tracer_provider,
        variables.check_sdk,
        variables.check_limits,
        variables.check_limit_of_the_app,
        variables.check_sampling,
        variables.check_sampler_of_the_app,
    ),
    "Export": (
        destinations.check_exporters,
        destinations.check_endpoint,
        probe.check_answers,
        kept.check_store,
        kept.check_permissions,
    ),
    "The app": (
        running.check_watched,
        running.check_unrecorded,
        running.check_end,
        running.check_armed,
        running.check_active,
        running.check_spans,
        running.check_delivered,
        running.check_disagreements,
        running.check_contained,
    ),
}


def examine(examined: Examined) -> dict[str, list[Finding]]:
    """Return the findings of all checks by section. A check that fails is reported as a finding."""
    return {
        section: [finding for check in checks for finding in _findings(check, examined)]
        for section, checks in SECTIONS.items()
    }


def _findings(check: Check, examined: Examined) -> list[Finding]:
    try:
        return list(check(examined))
    except Exception as problem:  # One broken package must not hide the rest
        name = check.__name__.removeprefix("check_")
        sentence = f"the check {name} itself failed: {type(problem).__name__}: {problem}"
        return [warning("doctor", sentence, name, "report it to the project")]
