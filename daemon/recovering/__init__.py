"""One step of the plan, carried out: intent, preflight, run, outcome, each journaled."""
