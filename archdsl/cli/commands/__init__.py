"""The commands: each file is the command of its name, with a function of that name and its EXAMPLES."""
