-- Questions about few rows of large tables, asked at the end of every integration: without these each reads the whole table.

CREATE INDEX observed_excluded ON observed (deployment_id, group_key) WHERE excluded IS NOT NULL;

-- Groups of a CI that became another record.
CREATE INDEX observed_group_by_sys_id ON observed_group (ci_sys_id) WHERE ci_sys_id IS NOT NULL;
