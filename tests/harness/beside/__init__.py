"""Files that a proxy finds beside its config; they run inside it, so they import nothing of the harness."""
