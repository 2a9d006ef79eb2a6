"""Pages behind signed links, for whoever has no login at hand: answering a page, reading the
document."""
