"""Wire objects on one side, the core on the other. Translates; decides nothing."""
