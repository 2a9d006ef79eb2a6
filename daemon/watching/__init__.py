"""What is looked at all the time, whatever is open: changes, the store, duties, retention."""
