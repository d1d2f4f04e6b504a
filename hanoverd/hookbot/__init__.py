"""hookbot: the client that waits for messages, and the server that passes them on.

Here: the websockets, the subscription that turns messages into triggers, and the server with GitHub's webhooks. Not here:
the protocol itself, which is pure (``spec.hookbot``), and what a trigger starts (``deploy``, ``builder``).
"""
