-- Orders with three lines that can be shipped, with ids from :first to :last and without a history.
INSERT INTO orders (id, order_number, customer_id, customer_email, customer_name, status, currency, net_amount,
                    tax_amount, total_amount, captured_amount, payment_method, payment_transaction_id,
                    shipping_address, billing_address, refund_status, created_at, updated_at, paid_at, version,
                    sequence, audit_position, audit_hash)
SELECT lpad(to_hex(n), 32, '0')::uuid, 'ORD-2025-' || lpad(n::text, 8, '0'), md5((n % 1000)::text)::uuid,
       'ada@example.org', 'Ada Łukasiewicz', 'PROCESSING_IN_WAREHOUSE', 'EUR', 119.40, 22.69, 142.09, 142.09, 'card',
       'pi_' || n, address, address, 'NONE', created_at, created_at, created_at, 3, 0, 0, decode(repeat('00', 32), 'hex')
FROM (SELECT n, now() - make_interval(secs => 10000000 - n) AS created_at
      FROM generate_series(:first::bigint, :last::bigint) AS n) AS numbered,
     (SELECT '{"street": "Großer Hirschgraben 23", "city": "Frankfurt am Main", "state": "Hessen", "zip": "60311",
               "country": "DE"}'::jsonb AS address) AS home;
INSERT INTO order_lines (order_id, position, id, product_id, product_name, quantity, unit_price, tax_rate, subtotal)
SELECT lpad(to_hex(n), 32, '0')::uuid, position, gen_random_uuid(), gen_random_uuid(), 'Stoneware bowl, celadon glaze',
       position, 19.90, 19.00, 19.90 * position
FROM generate_series(:first::bigint, :last::bigint) AS n, generate_series(1, 3) AS position;
INSERT INTO payments (order_id, reference, amount, late, reported_at)
SELECT id, payment_transaction_id, captured_amount, false, paid_at
FROM orders WHERE id BETWEEN lpad(to_hex(:first::bigint), 32, '0')::uuid AND lpad(to_hex(:last::bigint), 32, '0')::uuid;
INSERT INTO order_counts (status, count) VALUES ('PROCESSING_IN_WAREHOUSE', :last::bigint - :first::bigint + 1)
ON CONFLICT (status) DO UPDATE SET count = order_counts.count + excluded.count;
