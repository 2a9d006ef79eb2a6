"""How everything of ours connects to others: each name resolved once, each of its addresses
checked, and no other address connected to. One file for each kind of client."""
