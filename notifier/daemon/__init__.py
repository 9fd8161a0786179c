"""The daemon: runs the stages until it is stopped, then drains."""
