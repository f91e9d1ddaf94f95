"""Virtual contrast in breast MRI."""
