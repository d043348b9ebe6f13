"""Life and death of the process, listening, logs."""
