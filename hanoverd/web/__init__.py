"""``hanoverd web``: a page in the browser, and metrics, for all apps of this host.

A process of its own.  It asks the daemons on their control sockets, and knows nothing that they do not tell: an app serves on when
this process ends.
"""
