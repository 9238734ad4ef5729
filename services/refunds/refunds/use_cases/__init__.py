"""What happens to refunds, and what is asked of them: each function is one step on its caller's connection."""
