"""What people do about a notification, and what follows if nobody does anything."""
