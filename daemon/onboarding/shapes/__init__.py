"""What an alert's expression means, in the shapes that a rule can measure."""
