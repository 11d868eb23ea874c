"""What clew finds here: the state of each framework, as JSON. Not measured."""

import json

from clew import instrument_all

states = {name: activation.state.value for name, activation in instrument_all().items()}
print(json.dumps(states))
