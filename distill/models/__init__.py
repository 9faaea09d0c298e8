"""Networks, and saved models: bundles and their registry."""
