"""Manifests of everything that the operator makes: pure functions from spec to dict."""
