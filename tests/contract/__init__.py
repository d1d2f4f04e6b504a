"""What the fakes and the real things must have in common, as tests that both are put through."""
