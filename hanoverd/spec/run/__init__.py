"""The values of docker run's options, as Docker's command line reads them.

Each module reads the options of one family, and returns what the Docker Engine API takes.  The modules are pure: they
know neither the command line's lexing nor the engine.  What only the engine checks is in ``engine_checks``.
"""
