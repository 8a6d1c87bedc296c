"""What runs the platform: the local stack (`deploy.local`) and the configuration of the tools around it."""
