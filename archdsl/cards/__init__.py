"""Published facts about the networks of the zoo, and where their specs are."""
