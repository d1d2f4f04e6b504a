"""Reports the events of an app to its user: hooks (shell commands) and webhooks (HTTP).

Not here: the log (``deploy.report``), and hookbot.
"""
