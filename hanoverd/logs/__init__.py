"""The log: the table of its events, their text and JSON formats, and where the lines go.

Here: what is the same for every line of the log. Not here: the log calls themselves; each module logs its own events.
"""
