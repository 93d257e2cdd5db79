"""What a compile or an eval did, for people to look at: made of what is kept, without a call of a model."""
