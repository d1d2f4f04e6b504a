"""Where new connections go: the routes of an app, and their repair.

What is not here: the rules as text (``model.rules``) and the programs that apply them (``edges.firewall``).
"""
