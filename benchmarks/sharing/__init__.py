"""Passing trials on: exported files, stores joined, listed and cleaned up."""
