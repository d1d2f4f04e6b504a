"""Reports the events of an app to its user: hooks (shell commands) and webhooks (HTTP).

Here: running the commands, and posting the events. Not here: the log (``logs``), and what happened (``deploy``).
"""
