"""Which step may start, and when not: approvals, guardrails, doubts, verification, lifecycle."""
