"""The log: the table of its events, their text and JSON formats, and where the lines go.

No decision about an app belongs here, and no log call: each module logs its own events.
"""
