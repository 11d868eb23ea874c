"""What the interpreter costs by itself."""
