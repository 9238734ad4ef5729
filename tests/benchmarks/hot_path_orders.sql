-- Replace all rows by :orders orders that can be shipped, with ids from 1.
TRUNCATE orders, order_lines, order_audit, outbox, idempotency_answers;
INSERT INTO orders
SELECT lpad(to_hex(n), 32, '0')::uuid, 'ORD-2026-' || lpad(n::text, 6, '0'), gen_random_uuid(), 'ada@example.org',
       'PROCESSING_IN_WAREHOUSE', 142.80, 23.80, 'EUR', 'card', 'pay_' || n, address, address, 'NONE', NULL, NULL, NULL,
       NULL, now(), now(), 3, 3, 3, decode(repeat('00', 32), 'hex')
FROM generate_series(1, :orders) AS n,
     (SELECT '{"street": "1 Kiln Lane", "city": "Kraków", "state": "MP", "zip": "31-001", "country": "PL"}'::jsonb
      AS address) AS home;
INSERT INTO order_lines
SELECT gen_random_uuid(), id, position, gen_random_uuid(), 'Stoneware bowl, celadon glaze', position, 19.90, 20.00,
       19.90 * position, now()
FROM orders, generate_series(1, 3) AS position;
ANALYZE orders, order_lines, order_audit, outbox;
CHECKPOINT;
