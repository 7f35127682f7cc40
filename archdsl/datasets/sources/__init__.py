"""One file for each data set of a recipe, of the same name, with `read(dataset, wanted) -> Source`."""
