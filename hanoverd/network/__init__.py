"""How clients reach the live version: host ports, routes, firewall rules and connection tracking.

Here: the rules as values (pure), the programs that apply them, and their repair. Not here: which version is live
(``deploy``).
"""
