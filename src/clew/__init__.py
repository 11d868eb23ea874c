"""clew: ``session.id`` and ``user.id`` on every span of an LLM application.

    from clew import instrument_all, using_session

    instrument_all()
    with using_session("chat-42", user_id="ada"):
        ...

Each name is loaded when it is first used, so that ``import clew`` takes almost no time. For pytest,
which would warn of a plugin that is imported before it looks for assertions: PYTEST_DONT_REWRITE
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clew.context.api import current as current
    from clew.context.api import isolated as isolated
    from clew.context.api import using_attributes as using_attributes
    from clew.context.api import using_metadata as using_metadata
    from clew.context.api import using_prompt_template as using_prompt_template
    from clew.context.api import using_session as using_session
    from clew.context.api import using_tags as using_tags
    from clew.context.api import using_user as using_user
    from clew.context.carry import carry as carry
    from clew.context.identity import Identity as Identity
    from clew.context.page_address import url as url
    from clew.core.errors import ActivationError as ActivationError
    from clew.core.errors import ClewError as ClewError
    from clew.core.errors import ConfigurationError as ConfigurationError
    from clew.core.errors import IdentityTypeError as IdentityTypeError
    from clew.core.errors import IdentityValueError as IdentityValueError
    from clew.core.frameworks import Framework as Framework
    from clew.core.frameworks import Layer as Layer
    from clew.export.stats import Stats as Stats
    from clew.export.stats import stats as stats
    from clew.instrument.api import instrument_all as instrument_all
    from clew.instrument.api import uninstrument_all as uninstrument_all
    from clew.instrument.report import Activation as Activation
    from clew.instrument.report import Report as Report
    from clew.instrument.report import State as State
    from clew.propagation.pools import carry_initializer as carry_initializer
    from clew.spans.feedback import feedback as feedback

_MODULES = {
    "ActivationError": "core.errors",
    "Activation": "instrument.report",
    "ClewError": "core.errors",
    "ConfigurationError": "core.errors",
    "Framework": "core.frameworks",
    "Identity": "context.identity",
    "IdentityTypeError": "core.errors",
    "IdentityValueError": "core.errors",
    "Layer": "core.frameworks",
    "Report": "instrument.report",
    "State": "instrument.report",
    "Stats": "export.stats",
    "carry": "context.carry",
    "carry_initializer": "propagation.pools",
    "current": "context.api",
    "feedback": "spans.feedback",
    "instrument_all": "instrument.api",
    "isolated": "context.api",
    "stats": "export.stats",
    "uninstrument_all": "instrument.api",
    "url": "context.page_address",
    "using_attributes": "context.api",
    "using_metadata": "context.api",
    "using_prompt_template": "context.api",
    "using_session": "context.api",
    "using_tags": "context.api",
    "using_user": "context.api",
}

__all__ = sorted(_MODULES)  # noqa: PLE0605 - the names above, listed once
__version__ = "0.1.0.dev0"


def __getattr__(name: str) -> object:
    if module := _MODULES.get(name):
        try:
            value = getattr(import_module(f"clew.{module}"), name)
        except (ValueError, StopIteration) as error:  # OpenTelemetry's, over a variable's value
            value = import_module("clew.instrument.unusable").stand_in(name, error)
        globals()[name] = value
        return value
    message = f"module 'clew' has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
