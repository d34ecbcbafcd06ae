"""Errors, conventions, run-time facts and safe file writing: what every layer may use."""
