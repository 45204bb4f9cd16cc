"""The contract with users: the resources, their fields, and the words used in status."""
