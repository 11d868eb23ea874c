"""The pages: each module reads what its page shows, and fills the template of the same name."""
