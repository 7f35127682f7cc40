"""Reading and writing files: whole or not at all, with an error of our own."""
