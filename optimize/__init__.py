"""Tuning the prompts of a GLAN program for a new language."""
