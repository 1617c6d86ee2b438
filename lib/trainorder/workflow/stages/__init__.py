"""What the rules take from the configuration, by stage; `workflow.settings` joins it."""
