"""Fakes that pass the same contract suites as the real adapters, a scripted world to run them in, and builders."""
