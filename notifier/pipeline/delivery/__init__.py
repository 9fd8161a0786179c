"""The second stage: from a lane to a card in Teams."""
