DROP TABLE teams_dead_letter_actions;
