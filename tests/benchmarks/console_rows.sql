-- What :rows orders leave for operators in every service: jobs that are done, wait, were discarded or failed, records
-- that could not be processed, findings, and events that Kafka rejected.
WITH done AS (
INSERT INTO jobs (id, kind, business_key, payload, traceparent, state, attempts, created_at, finished_at)
SELECT gen_random_uuid(), 'history', 'history-' || n, '{}',
       '00-' || md5(n::text) || '-' || left(md5(n::text), 16) || '-01', 'done', 1,
       now() - make_interval(secs => n), now() - make_interval(secs => n)
FROM generate_series(1, :rows) AS n RETURNING id, finished_at)
INSERT INTO job_attempts (job_id, number, worker, started_at, finished_at, outcome)
SELECT id, 1, 'a worker', finished_at, finished_at, 'succeeded' FROM done;
INSERT INTO jobs (id, kind, business_key, payload, traceparent, due_at)
SELECT gen_random_uuid(), 'reminder', 'reminder-' || n, '{}', '', now() + make_interval(days => 1, secs => n)
FROM generate_series(1, :rows) AS n;
INSERT INTO jobs (id, kind, business_key, payload, traceparent, state, failures, attempts, finished_at, failed_at,
                  last_error, cause, created_at)
SELECT gen_random_uuid(), 'history', 'failed-' || n, '{}', '', CASE WHEN n % 10 = 0 THEN 'discarded' ELSE 'dead' END, 4,
       4, now(), now(), 'OSError: shelf ' || n % 20 || ' of ' || n || ' is full', 'OSError: shelf of kind '
       || chr(97 + n % 20) || ' is full', now() - make_interval(secs => n)
FROM generate_series(1, :rows / 100) AS n;
INSERT INTO poison (id, topic, partition, "offset", digest, key, value, headers, record_time, error, created_at)
SELECT gen_random_uuid(), 'articurated.orders', n % 12, n, sha256(n::text::bytea), n::text::bytea, '{}'::bytea, '[]', 0,
       'CheckViolationError: row ' || n || ' is refused by ' || chr(97 + n % 5), now() - make_interval(secs => n)
FROM generate_series(1, :rows / 100) AS n;
INSERT INTO discrepancies (id, "check", subject, key, details, first_seen, resolved_at)
SELECT gen_random_uuid(), 'invoice_missing', 'order-' || n, n::text, '{}', now() - make_interval(secs => n),
       CASE WHEN n % 10 > 0 THEN now() END
FROM generate_series(1, :rows / 100) AS n;
INSERT INTO outbox_parked (position, lane, topic, key, error)
SELECT position, 0, topic, key, 'MessageSizeTooLarge' FROM outbox ORDER BY position LIMIT :rows / 100;
