"""Components whose truth is made."""
