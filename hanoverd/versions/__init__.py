"""One version of an app: its container, from creation to removal, whether it is ready, and when it exits.

Here: creating, starting, probing, monitoring and removing one container. Not here: which version is live, and what
replaces it (``deploy``).
"""
