"""What a person starts, one module a command."""
