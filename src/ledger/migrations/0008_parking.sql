-- Why a scope could not be read, as a kind of failure: a list that is forbidden everywhere waits for a person.
ALTER TABLE scan ADD COLUMN failure text;
-- How often a run has been checked: what was read of the instance before a check must not outlive it.
ALTER TABLE run ADD COLUMN checks integer NOT NULL DEFAULT 0;
