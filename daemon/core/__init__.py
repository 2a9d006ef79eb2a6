"""The nouns and every decision, without I/O, clock or logging: the best place to begin reading."""
