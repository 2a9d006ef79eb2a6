"""stopgap.yaml, the environment and the folder of rules, read into values, and every mistake
named."""
