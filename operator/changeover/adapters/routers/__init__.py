"""Gateways: one module a provider."""
