"""The server of ``clew mcp``.

server.py  which tools there are, and what they say about themselves
tools.py   the tools: each opens the store, reads, and closes it
reading.py opens the store without ever changing it
data.py    sessions, turns and calls as plain data, with long texts cut
"""
