"""Converts between OTLP, as protobuf and as JSON, and SpanRecords, without loss.

`from_protobuf` and `from_json` read an encoded ExportTraceServiceRequest, `to_protobuf` and
`to_json` write one, `json_pieces` piece by piece. `records_of` and `request_of` do so for the
message itself.
"""

from clew.store.otlp.json_decoder import from_json
from clew.store.otlp.json_encoder import json_pieces, to_json
from clew.store.otlp.limits import MalformedError, TooLargeError, defect
from clew.store.otlp.protobuf import from_protobuf, records_of, request_of, to_protobuf

__all__ = [
    "MalformedError",
    "TooLargeError",
    "defect",
    "from_json",
    "from_protobuf",
    "json_pieces",
    "records_of",
    "request_of",
    "to_json",
    "to_protobuf",
]
