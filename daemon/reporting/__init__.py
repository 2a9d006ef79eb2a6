"""What is told afterwards or of the whole: reviews, figures, follow-ups, how the daemon does."""
