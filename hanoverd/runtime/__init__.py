"""Small tools that know nothing of Docker or apps: cancellation, processes, signals, systemd, the terminal.

A tool belongs here when two packages above need it, or when it hides a detail of Python, Twisted or the system.
"""
