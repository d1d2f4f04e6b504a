"""The life of one app: which version is live, which comes next, which are being stopped.

``state``, ``events``, ``effects``, ``requests``, ``transitions`` and ``decisions`` are pure: the life of an app is one
value, and one function says what follows from an event. ``orchestrator`` runs the effects and feeds the results back as
events. ``handover`` is the story of one handover, from obtaining the image to removing the version that was replaced.

What is not here: how the engine, the firewall or a container's port is spoken to.
"""
