"""Repeatable measurements; the results name machine and versions."""
