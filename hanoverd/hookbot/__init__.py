"""hookbot: the client that waits for messages, and the server that passes them on.

Here: the protocol with its tokens and messages, the websockets, the client that turns messages into triggers, and the
server with GitHub's webhooks. Not here: hookbot's URLs and topics (``spec.hookbot``), and what a trigger starts
(``deploy``, ``builder``).
"""
