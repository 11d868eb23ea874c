"""Prints the state of each framework in this environment as JSON. It is not measured."""

import json

from clew import instrument_all

states = {name: activation.state.value for name, activation in instrument_all().items()}
print(json.dumps(states))
