"""What is known from outside about the networks of the zoo, and where their specs are."""
