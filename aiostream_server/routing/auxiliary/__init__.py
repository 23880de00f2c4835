"""What chat clients ask beside the conversation: recognised, and answered without a team."""
