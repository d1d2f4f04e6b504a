"""What stands in for the far side in unit tests: held to the same contract as the real thing (see tests/contract)."""
