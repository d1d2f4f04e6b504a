"""How clients reach the live version: host ports, routes, firewall rules and connection tracking.

Here: the rules as values (pure), the programs that apply them, and their repair. Not here: which version is live
(``deploy``).

From ``--publish`` to the kernel, a port is one value of ``spec.ports``: ``host_ports`` binds the host port, ``routes`` adds
the container of the live version, ``rules`` plans the firewall rules, and ``firewall`` applies them. A connection then goes

* from a client elsewhere through PREROUTING and the app's incoming chain straight to the container;
* from a client on this host through OUTPUT and the app's local chain to the engine's proxy on loopback, and from there to
  the container; straight to the container where the engine has no proxy (``bridge``).
"""
