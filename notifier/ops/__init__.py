"""Answers to operators: doctor, trace, report, top, retention, backup."""
