"""Reports: one HTML file that opens offline, with its charts drawn as SVG and every number in a table beside them."""
