-- All groups of one CI are derived together, and several resource ids may be one CI on the instance.
CREATE INDEX ci_by_sys_id ON ci (instance_id, sys_id) WHERE sys_id IS NOT NULL;
