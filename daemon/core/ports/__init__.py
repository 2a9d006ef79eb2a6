"""What core and the stages ask of the outside, as protocols that adapters and actions fill."""
