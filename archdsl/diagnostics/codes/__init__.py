"""Every problem with its code, one module for each range of codes."""
