"""What a network says of a frame, as objects: numpy only."""
