"""The public listener: action pages and the callback."""
