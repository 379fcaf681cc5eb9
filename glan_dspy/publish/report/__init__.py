"""`glan report`: a run as one page for a browser."""
