"""Where a loss comes from: label values, the changed mix, series that moved, earlier incidents."""
