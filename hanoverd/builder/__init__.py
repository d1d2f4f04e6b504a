"""``hanoverd builder``: build an image, push it, and publish that it is available.

Here: the queue of builds, and the service. Not here: how an image is built (``images``), and the websocket
(``hookbot``).
"""
