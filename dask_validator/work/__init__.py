"""From questions about strategies to answers: tasks, what a worker does with one, who gets them answered."""
