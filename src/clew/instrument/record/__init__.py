"""Spans of clew's own, for the calls of a framework that its instrumentor does not trace.

They are made with the instrumentor's own tracer, so that masking, suppression and ids are those of
its other spans. `watching` tells what becomes of a stream, `spans` makes a span of a call, and what
there is to call, and where its request and answer say what, stands in a table per framework.
"""
