"""Values that all of core uses: durations, outcomes, texts, digests; they know no incident."""
