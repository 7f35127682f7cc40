"""What an editor asks about specs while they are written: one `Workspace` knows the answers for every surface."""
