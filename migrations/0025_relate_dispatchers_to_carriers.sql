-- A dispatcher belongs to one carrier, mostly, and has a good part of its orders. Postgres multiplied the rareness of both, took
-- the orders of a dispatcher for a hundred and sorted twenty thousand instead of reading a page of them in order.
CREATE STATISTICS orders_dispatcher_of_tenant (dependencies) ON tenant_id, dispatcher_id FROM orders;
