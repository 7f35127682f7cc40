"""The language server: `archdsl.assist` by the Language Server Protocol."""
