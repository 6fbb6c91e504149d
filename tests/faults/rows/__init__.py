"""The rows of the fault matrix, by what is at fault. Each is a coroutine that takes the places and the framings."""
