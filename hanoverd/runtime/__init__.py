"""Small tools that know nothing of Docker or apps: cancellation, processes, signals, systemd, the terminal.

Here: a tool that two packages above need, or that hides a detail of Python, Twisted or the system. Not here: a tool that
only one package needs; it belongs to that package.
"""
