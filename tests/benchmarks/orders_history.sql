-- The rows that :orders processed orders leave: audit rows, published events, stored responses.
WITH audited AS (
INSERT INTO audit (id, entity_type, entity_id, position, new_state, outcome, actor_id, actor_type, trigger, created_at,
                   details_digest, previous_hash, hash)
SELECT gen_random_uuid(), 'ORDER', gen_random_uuid(), 1, 'PENDING_PAYMENT', 'ACCEPTED', 'ak_client', 'USER',
       'API_CALL', now(), sha256(n::text::bytea), decode(repeat('00', 32), 'hex'), sha256(n::text::bytea)
FROM generate_series(1, :orders) AS n RETURNING id)
INSERT INTO audit_details (audit_id, salt, details, ip_address)
SELECT id, decode(repeat('07', 16), 'hex'), '{}', '127.0.0.1' FROM audited;
INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, topic, key, sequence, traceparent)
SELECT gen_random_uuid(), 'order', key, 'order.created', '{}'::bytea, 'articurated.orders', key, 1,
       '00-' || md5(key) || '-' || left(md5(key), 16) || '-01'
FROM (SELECT n, gen_random_uuid()::text AS key FROM generate_series(1, :orders) AS n) AS sent;
INSERT INTO idempotency_keys (scope, key, request_hash, status, headers, body, expires_at)
SELECT sha256(n::text::bytea), 'history-' || n, sha256(n::text::bytea), 201, '{}', '{}'::bytea, now() + interval '1 day'
FROM generate_series(1, :orders) AS n;
