"""What is measured, side by side with the engine's own floor in the same run."""
