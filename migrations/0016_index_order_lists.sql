-- What the dispatch list still walked or sorted from end to end at a carrier with 100 000 orders. The list always asks for
-- what is archived or for what is not, so an index in the order of the page holds only the one or the other.

CREATE INDEX orders_live ON orders (tenant_id, id) WHERE archived_at IS NULL;
CREATE INDEX orders_live_number ON orders (tenant_id, number) WHERE archived_at IS NULL;
CREATE INDEX orders_archived_number ON orders (tenant_id, number) WHERE archived_at IS NOT NULL;
CREATE INDEX orders_archived_pickup_date ON orders (tenant_id, pickup_date, id) WHERE archived_at IS NOT NULL;
CREATE INDEX orders_archived_delivery_date ON orders (tenant_id, delivery_date, id) WHERE archived_at IS NOT NULL;
CREATE INDEX orders_archived_updated_at ON orders (tenant_id, updated_at, id) WHERE archived_at IS NOT NULL;

-- The tabs count what is not archived; the first thousand of a status would be behind all that is.
DROP INDEX orders_status;
CREATE INDEX orders_status ON orders (tenant_id, status, id) WHERE archived_at IS NULL;
CREATE INDEX orders_archived_status ON orders (tenant_id, status, id) WHERE archived_at IS NOT NULL;

-- What is open is a few percent of years of work, and lies at the far end of every sort that begins with the oldest. A list
-- may ask for several of these states, in the order of the page.
CREATE INDEX orders_open ON orders (tenant_id, id)
    WHERE archived_at IS NULL AND status IN ('new', 'assigned', 'picked_up', 'in_transit');
CREATE INDEX orders_open_number ON orders (tenant_id, number)
    WHERE archived_at IS NULL AND status IN ('new', 'assigned', 'picked_up', 'in_transit');
CREATE INDEX orders_open_pickup_date ON orders (tenant_id, pickup_date, id)
    WHERE archived_at IS NULL AND status IN ('new', 'assigned', 'picked_up', 'in_transit');
CREATE INDEX orders_open_delivery_date ON orders (tenant_id, delivery_date, id)
    WHERE archived_at IS NULL AND status IN ('new', 'assigned', 'picked_up', 'in_transit');
CREATE INDEX orders_open_updated_at ON orders (tenant_id, updated_at, id)
    WHERE archived_at IS NULL AND status IN ('new', 'assigned', 'picked_up', 'in_transit');
-- What waits for a driver, the next pickup first.
CREATE INDEX orders_unassigned_pickup_date ON orders (tenant_id, pickup_date, id)
    WHERE archived_at IS NULL AND driver_id IS NULL;

-- Whether one order has a word: the list asks it of each order that it walks past when the word is a common one.
DROP INDEX order_search_terms_order;
CREATE INDEX order_search_terms_order ON order_search_terms (tenant_id, order_id, term);
