"""Private. The page: conversations in the browser, served from the embedded store.

It needs the extra ``view``. Everything is rendered on the server and works without JavaScript; the
modules in ``static/`` add live updates, keys, and parts that are loaded where they are unfolded.

    serve.py         starts the server, and the second address for spans (127.0.0.1:4318)
    app.py           create_app: the addresses, and which function answers each
    access.py        who may read: host names, the token, the headers of every answer
    receiving.py     spans over OTLP/HTTP at /v1/traces
    source.py        Source: the engine that the store is copied from, if there is one
    bringing.py      what is answered while a session is copied from there
    readers.py       Readers, Reader: the store, opened for one request at a time
    answers.py       Answers: what takes long to count is kept for a while
    live.py          Changes: server-sent events when the store has changed
    pages/           one module for each page: reads, and fills a template
        sessions, session, call, trace, content, users, overview, evaluations,
        history
        live         the turns of all sessions as they come
        metrics, group_differences
        compare      two sessions side by side: alignment.py pairs turns, differences.py marks words
        copies       sessions and turns to take away: json_files.py, pytest_file.py
    exporting.py     export: conversations as one HTML file, for clew view --export
    running.py       which turns are still running
    filters.py       Filters: which sessions, in which order, as in the address
    insight.py       what the signals say about turns: where it broke, what was noticed
    verdicts.py      Verdict: what evaluators say, whether it is out of date, or how they failed
    ratings.py       Ratings: what people say about sessions and turns
    forms.py         forms that were sent: from which page they come, and what is in them
    parts.py         the texts of a turn, each with a name, so that "show all" finds it
    conversation.py  TurnView, StepView: a turn as it is shown
    contents.py      Excerpt: stored text, cut and escaped; Markdown, rendered and sanitised
    pictures.py      inline SVG: the turns of a session, figures over days, the timeline
    wording.py       durations, costs, numbers and times as text
    rendering.py     Jinja's environment
    templates/, static/
"""
