"""Fixtures for tests of security rules."""
