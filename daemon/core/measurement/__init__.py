"""Samples judged: baseline, onset, loss, and what is confirmed, unknown or well again."""
