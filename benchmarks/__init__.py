"""What we measure, reproducible by one command each."""
