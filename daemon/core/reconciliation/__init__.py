"""What Alertmanager lists beside what is open here: what was lost, what has ended unheard."""
