"""One incident at a time: fold its journal, decide, start the effects; leases among replicas."""
