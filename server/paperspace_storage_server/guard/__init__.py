"""What stands between an agent and harm: confirmation, protection, masking, clean text, audit."""
