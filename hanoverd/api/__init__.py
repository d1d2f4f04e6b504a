"""The control API of a running daemon: HTTP and JSON on a Unix socket.

Here: the resources, the status as the API returns it, and who may connect. Not here: the commands that use the API
(``cli.client``), and the work that a request starts (``deploy``).
"""
