"""observe -> decide -> act -> report, one short module a kind."""
