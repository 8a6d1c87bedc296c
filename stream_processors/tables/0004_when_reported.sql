-- When the event that brought a transition was reported: how late the transition is, for whoever acts on it.
ALTER TABLE measures ADD COLUMN IF NOT EXISTS reported_at Nullable(DateTime64(3, 'UTC')) AFTER recheck_seconds;
