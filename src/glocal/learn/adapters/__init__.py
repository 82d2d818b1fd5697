"""Adapters: a trained network learns something new by few parameters, which merge into it."""
