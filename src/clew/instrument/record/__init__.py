"""Spans that clew makes itself, for methods of a framework that its instrumentor does not trace.

They are made with the instrumentor's own tracer, so masking, suppression and ids work as for its
other spans. `stream_watch` observes streams, `endpoint_spans` makes a span for each call, and a
table for each framework lists the methods and where their requests and responses have what.
"""
