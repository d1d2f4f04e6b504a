"""The commands that speak with running daemons.  They block, and load nothing that they do not need: they are to be quick."""
