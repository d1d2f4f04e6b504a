"""The options, one row each: how an option is written, what it takes, what it is for, and where its value goes.

Parsing, ``--help``, the documentation, the hiding of secrets and the specification are derived from the rows.  One
module has one group of options.  An option of docker run that Docker itself interprets is one row in ``container``: its
``request`` says where Docker wants the value.
"""
