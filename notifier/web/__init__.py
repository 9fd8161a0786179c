"""The listeners: action pages for people, health for operators."""
