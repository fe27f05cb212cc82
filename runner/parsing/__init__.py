"""Strict YAML → plain values, and errors that say what to write instead."""
