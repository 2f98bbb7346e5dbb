"""Alignment losses, one a file."""
