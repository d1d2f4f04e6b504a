"""The life of one app: which version is live, which comes next, and which are being stopped.

Here: two halves. The modules that decide (``state``, ``events``, ``effects``, ``requests``, ``transitions`` and
``decisions``) are pure: the life of an app is one value, and one function returns what follows from an event. The modules
that act carry the decisions out: ``orchestrator`` runs the effects and feeds their results back as events, and
``handover`` is the story of one handover, from obtaining the image to removing the version that was replaced.

Not here: how to talk to the engine (``docker``), the firewall (``network``) or a container's port (``versions``).
"""
