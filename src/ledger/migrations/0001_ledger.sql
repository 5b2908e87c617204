-- The durable memory of the engine (design §1, §2). Every digest is 16 bytes: keys of a million rows must stay short.

CREATE TABLE ledger (
  the_one boolean PRIMARY KEY DEFAULT true CHECK (the_one),
  ledger_id uuid NOT NULL DEFAULT gen_random_uuid(),
  -- Shifts the ledger's clock. Tests play thirty nights with it; operators leave it at zero.
  clock_shift interval NOT NULL DEFAULT '0',
  created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO ledger DEFAULT VALUES;

CREATE FUNCTION ledger_now() RETURNS timestamptz LANGUAGE sql VOLATILE
  AS $$ SELECT clock_timestamp() + (SELECT clock_shift FROM ledger) $$;

-- Table names, kinds and integrations as small numbers.
CREATE TABLE word (
  word_id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  word text NOT NULL UNIQUE
);

CREATE TABLE instance (
  instance_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  url text NOT NULL UNIQUE,
  -- Rises with every run; the engine's own run records carry it, so that a restored ledger can be recognised.
  sequence bigint NOT NULL DEFAULT 0
);

CREATE TABLE deployment (
  deployment_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  instance_id integer NOT NULL REFERENCES instance,
  name text NOT NULL UNIQUE,
  -- Order in the configuration: the first deployment that sees a shared record gives its fields.
  position integer NOT NULL,
  fence bigint NOT NULL DEFAULT 0
);

CREATE FUNCTION assert_fence(p_deployment integer, p_fence bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM deployment WHERE deployment_id = p_deployment AND fence = p_fence FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'fence % of deployment % is stale', p_fence, p_deployment USING ERRCODE = 'DS001';
  END IF;
END $$;

CREATE TABLE run (
  run_id uuid PRIMARY KEY,
  deployment_id integer NOT NULL REFERENCES deployment,
  -- Idempotency key: one workflow execution is one run, however often its first activity is tried.
  workflow_run_id text NOT NULL UNIQUE,
  mode text NOT NULL,
  fence bigint NOT NULL,
  sequence bigint NOT NULL,
  started_at timestamptz NOT NULL,
  ended_at timestamptz,
  outcome text,
  report jsonb
);
CREATE INDEX run_by_deployment ON run (deployment_id, started_at DESC);

CREATE TABLE run_scope (
  run_id uuid NOT NULL REFERENCES run ON DELETE CASCADE,
  kind text NOT NULL,
  id text NOT NULL,
  name text NOT NULL,
  state text NOT NULL,
  PRIMARY KEY (run_id, kind, id)
);

CREATE TABLE run_finding (
  run_id uuid NOT NULL REFERENCES run ON DELETE CASCADE,
  position integer NOT NULL,
  finding jsonb NOT NULL,
  PRIMARY KEY (run_id, position)
);

-- Counters of a run, added in the same transaction as what they count.
CREATE TABLE run_tally (
  run_id uuid NOT NULL REFERENCES run ON DELETE CASCADE,
  integration text NOT NULL,
  counter text NOT NULL,
  n bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (run_id, integration, counter)
);

CREATE FUNCTION add_tally(p_run uuid, p_integration text, p_counter text, p_n bigint) RETURNS void LANGUAGE sql AS $$
  INSERT INTO run_tally (run_id, integration, counter, n) VALUES (p_run, p_integration, p_counter, p_n)
  ON CONFLICT (run_id, integration, counter) DO UPDATE SET n = run_tally.n + excluded.n
$$;

-- ------------------------------------------------------------------------------------------------ observe

CREATE TABLE scan (
  scan_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id uuid NOT NULL REFERENCES run ON DELETE CASCADE,
  deployment_id integer NOT NULL REFERENCES deployment,
  integration text NOT NULL,
  read_name text NOT NULL,
  stage smallint NOT NULL,
  scope_kind text NOT NULL,
  scope_id text NOT NULL,
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'complete', 'partial', 'failed', 'not-applicable')),
  because text,
  -- A restart from the first page is a new attempt; pages of older attempts are dropped.
  attempt integer NOT NULL DEFAULT 1,
  -- Where to go on: the ledger's cursor is the truth, heartbeat details are not.
  cursor jsonb,
  cursor_at timestamptz,
  page_count integer NOT NULL DEFAULT 0,
  rows_read bigint NOT NULL DEFAULT 0,
  total_records bigint,
  total_moved boolean NOT NULL DEFAULT false,
  tries integer NOT NULL DEFAULT 0,
  next_try_at timestamptz,
  claim_token uuid,
  claim_until timestamptz,
  opened_at timestamptz NOT NULL,
  ended_at timestamptz,
  UNIQUE (run_id, integration, read_name, scope_kind, scope_id)
);
CREATE INDEX scan_open ON scan (run_id, integration, stage, tries, scan_id) WHERE state = 'open';
CREATE INDEX scan_history ON scan (deployment_id, read_name, scope_kind, scope_id, scan_id DESC);

-- The manifest: one row a page, instead of a "last seen" on every record.
CREATE TABLE scan_page (
  scan_id bigint NOT NULL REFERENCES scan ON DELETE CASCADE,
  attempt integer NOT NULL,
  page_no integer NOT NULL,
  next_cursor jsonb,
  rows_total integer NOT NULL,
  rows_excluded integer NOT NULL,
  rows_quarantined integer NOT NULL,
  -- Packed 16-byte key digests of the page's observed records.
  digests bytea NOT NULL,
  committed_at timestamptz NOT NULL,
  PRIMARY KEY (scan_id, attempt, page_no)
);

CREATE FUNCTION unpack_digests(p_packed bytea) RETURNS SETOF bytea LANGUAGE sql IMMUTABLE ROWS 1000 AS $$
  SELECT substring(p_packed FROM i * 16 + 1 FOR 16) FROM generate_series(0, length(p_packed) / 16 - 1) AS i
$$;

CREATE TABLE observed (
  deployment_id integer NOT NULL REFERENCES deployment,
  kind smallint NOT NULL,
  key bytea NOT NULL,
  content bytea NOT NULL,
  group_key bytea NOT NULL,
  id text NOT NULL,
  body jsonb NOT NULL,
  links jsonb,
  -- Why the record makes no desired record, as the last derivation said.
  excluded text,
  changed_at timestamptz NOT NULL,
  PRIMARY KEY (deployment_id, kind, key)
);
CREATE INDEX observed_by_group ON observed (deployment_id, group_key, kind);

CREATE TABLE quarantine (
  quarantine_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id uuid NOT NULL REFERENCES run ON DELETE CASCADE,
  scan_id bigint NOT NULL REFERENCES scan ON DELETE CASCADE,
  attempt integer NOT NULL,
  page_no integer NOT NULL,
  integration text NOT NULL,
  read_name text NOT NULL,
  row_no integer NOT NULL,
  row_id text,
  because text NOT NULL
);
CREATE INDEX quarantine_by_run ON quarantine (run_id, integration);
CREATE INDEX quarantine_by_scan ON quarantine (scan_id);

-- Keys of other kinds that observed records name (metadata keys, CVE ids).
CREATE TABLE used_key (
  deployment_id integer NOT NULL REFERENCES deployment,
  kind smallint NOT NULL,
  key bytea NOT NULL,
  id text NOT NULL,
  -- The run in which a single GET said 404; not asked again in that run.
  absent_in_run uuid,
  PRIMARY KEY (deployment_id, kind, key)
);

-- Only for kinds whose change makes other groups due again (a CVE makes the images that carry it due).
CREATE TABLE observed_link (
  deployment_id integer NOT NULL REFERENCES deployment,
  to_kind smallint NOT NULL,
  to_key bytea NOT NULL,
  group_key bytea NOT NULL,
  PRIMARY KEY (deployment_id, to_kind, to_key, group_key)
);

-- ------------------------------------------------------------------------------------------------ derive

-- What is derived together. Due when due_seq is ahead of derived_seq, or when the mapping itself changed.
CREATE TABLE observed_group (
  deployment_id integer NOT NULL REFERENCES deployment,
  integration smallint NOT NULL,
  group_key bytea NOT NULL,
  group_id text NOT NULL,
  due_seq bigint NOT NULL DEFAULT 1,
  derived_seq bigint NOT NULL DEFAULT 0,
  derived_at timestamptz,
  ci_key bytea,
  ci_derived_seq bigint NOT NULL DEFAULT 0,
  ci_sys_id text,
  PRIMARY KEY (deployment_id, integration, group_key)
);
CREATE INDEX observed_group_due ON observed_group (deployment_id, integration, group_key) WHERE due_seq > derived_seq;
CREATE INDEX observed_group_by_ci ON observed_group (ci_key, deployment_id) WHERE ci_key IS NOT NULL;
CREATE INDEX observed_group_ci_due ON observed_group (deployment_id, integration, group_key) WHERE ci_key IS NOT NULL AND derived_seq > ci_derived_seq;

-- Which mapping derived a deployment's groups; another one makes every group due.
CREATE TABLE derived_with (
  deployment_id integer NOT NULL REFERENCES deployment,
  integration smallint NOT NULL,
  mapping_version text NOT NULL,
  PRIMARY KEY (deployment_id, integration)
);

CREATE TABLE ci (
  instance_id integer NOT NULL REFERENCES instance,
  ci_key bytea NOT NULL,
  key_text text NOT NULL,
  identity jsonb NOT NULL,
  state text NOT NULL DEFAULT 'wanted' CHECK (state IN ('wanted', 'resolved', 'parked')),
  sys_id text,
  class_name text,
  match text,
  -- Only CIs that this engine created may ever be retired.
  created_by_engine boolean NOT NULL DEFAULT false,
  reason text,
  parked_in_run uuid,
  tries integer NOT NULL DEFAULT 0,
  sent_at timestamptz,
  claim_token uuid,
  claim_until timestamptz,
  claim_deployment integer,
  PRIMARY KEY (instance_id, ci_key)
);
CREATE INDEX ci_wanted ON ci (instance_id, ci_key) WHERE state = 'wanted';

-- ------------------------------------------------------------------------------------------------ publish

CREATE TABLE record (
  instance_id integer NOT NULL REFERENCES instance,
  table_id smallint NOT NULL,
  key bytea NOT NULL,
  key_text text NOT NULL,
  sys_id text,
  -- Content of the winning owner, and the content that the instance is known to have.
  desired bytea,
  published bytea,
  parked boolean NOT NULL DEFAULT false,
  reason text,
  parked_in_run uuid,
  -- An intent: sent, outcome unknown. Looked up by natural key only once the platform must have finished or given up.
  sent_at timestamptz,
  claim_token uuid,
  claim_until timestamptz,
  claim_deployment integer,
  PRIMARY KEY (instance_id, table_id, key)
);
CREATE INDEX record_due ON record (instance_id, table_id, key) WHERE desired IS DISTINCT FROM published AND NOT parked;
CREATE INDEX record_parked ON record (instance_id, table_id, key) WHERE parked;

CREATE TABLE record_owner (
  instance_id integer NOT NULL,
  table_id smallint NOT NULL,
  key bytea NOT NULL,
  deployment_id integer NOT NULL REFERENCES deployment,
  group_key bytea NOT NULL,
  content bytea NOT NULL,
  fields jsonb NOT NULL,
  volatile jsonb,
  only_if_exists boolean NOT NULL DEFAULT false,
  -- The deployment no longer sees it. Nothing is closed because of this alone (design §7).
  gone_at timestamptz,
  PRIMARY KEY (instance_id, table_id, key, deployment_id),
  FOREIGN KEY (instance_id, table_id, key) REFERENCES record
);
CREATE INDEX record_owner_by_group ON record_owner (deployment_id, group_key) WHERE gone_at IS NULL;
CREATE INDEX record_owner_by_table ON record_owner (deployment_id, table_id) WHERE gone_at IS NULL;

-- ------------------------------------------------------------------------------------------------ the gate

CREATE TABLE slot (
  slot_key text NOT NULL,
  slot_no integer NOT NULL,
  holder uuid,
  held_until timestamptz,
  PRIMARY KEY (slot_key, slot_no)
);

CREATE TABLE throttle (
  slot_key text PRIMARY KEY,
  not_before timestamptz NOT NULL
);

-- Takes a free slot. Answers how long to wait in milliseconds: 0 = taken, otherwise nothing was taken.
CREATE FUNCTION acquire_slot(p_key text, p_slots integer, p_holder uuid, p_hold interval, p_deployment integer, p_fence bigint)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := ledger_now();
  v_not_before timestamptz;
  v_slot integer;
BEGIN
  -- Not FOR SHARE: a request in flight must not hold up the next run; what it sent is covered by its intent.
  PERFORM 1 FROM deployment WHERE deployment_id = p_deployment AND fence = p_fence;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'fence % of deployment % is stale', p_fence, p_deployment USING ERRCODE = 'DS001';
  END IF;
  SELECT not_before INTO v_not_before FROM throttle WHERE slot_key = p_key AND not_before > v_now;
  IF FOUND THEN
    RETURN greatest(1, ceil(extract(epoch FROM v_not_before - v_now) * 1000));
  END IF;
  SELECT slot_no INTO v_slot FROM slot
   WHERE slot_key = p_key AND slot_no <= p_slots AND (holder IS NULL OR held_until < v_now)
   ORDER BY slot_no LIMIT 1 FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN 25;
  END IF;
  UPDATE slot SET holder = p_holder, held_until = v_now + p_hold WHERE slot_key = p_key AND slot_no = v_slot;
  RETURN 0;
END $$;
