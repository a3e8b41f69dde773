-- What carriers pay for: prices, Stripe's customers, subscriptions and invoices as Stripe last said they are, and the inbox
-- of Stripe's events. How a state is decided is in shared/core/src/billing/.

-- Plans --------------------------------------------------------------------------------------------------------------

ALTER TABLE plans
    -- Of two subscriptions that are paid at once the higher counts.
    ADD COLUMN rank smallint NOT NULL DEFAULT 0,
    -- Days that a carrier keeps the plan after a payment has failed.
    ADD COLUMN grace_days smallint NOT NULL DEFAULT 7 CHECK (grace_days >= 0);
UPDATE plans SET rank = CASE code WHEN 'starter' THEN 1 WHEN 'pro' THEN 2 ELSE 0 END;

CREATE TABLE prices (
    stripe_price_id text PRIMARY KEY,
    -- What code and clients say, e.g. STARTER_MONTHLY. Prices that are no longer sold keep their name: somebody may still
    -- pay them.
    name text NOT NULL CHECK (name ~ '^[A-Z][A-Z0-9_]{0,62}$'),
    plan text NOT NULL REFERENCES plans (code),
    -- What a new subscription is sold at.
    is_current boolean NOT NULL DEFAULT true,
    interval text NOT NULL CHECK (interval IN ('month', 'year')),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount numeric(15, 3) NOT NULL CHECK (amount >= 0)
);
CREATE UNIQUE INDEX prices_current ON prices (name) WHERE is_current;
CREATE INDEX prices_plan ON prices (plan);
COMMENT ON TABLE prices IS 'SHARED: the price list is the same for every carrier of this environment; functions may only read it, migrate loads it.';
GRANT SELECT ON prices TO carhaul_api, carhaul_billing, carhaul_gate;

-- The plan that counts now: a paid one until it ends, then what everybody has.
ALTER TABLE tenants ADD COLUMN plan_ends_at timestamptz;
CREATE FUNCTION app.plan_now(p_plan text, p_ends_at timestamptz) RETURNS text LANGUAGE sql STABLE
RETURN CASE WHEN p_ends_at <= now() THEN 'free' ELSE p_plan END;
GRANT EXECUTE ON FUNCTION app.plan_now(text, timestamptz) TO carhaul_api, carhaul_billing, carhaul_gate;
-- Only billing sets a carrier's plan.
GRANT SELECT, UPDATE (plan, plan_ends_at) ON tenants TO carhaul_billing;

CREATE OR REPLACE FUNCTION app.limit_now(
    p_tenant uuid, p_name text, OUT max bigint, OUT period date, OUT resets_at timestamptz
) LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT l.max,
           CASE l.per WHEN 'month' THEN m.first_day::date ELSE '-infinity' END,
           CASE l.per WHEN 'month' THEN (m.first_day + interval '1 month') AT TIME ZONE t.time_zone END
    FROM tenants t
    JOIN plan_limits l ON l.plan = app.plan_now(t.plan, t.plan_ends_at) AND l.name = p_name
    CROSS JOIN LATERAL (SELECT date_trunc('month', now() AT TIME ZONE t.time_zone) AS first_day) m
    WHERE t.id = p_tenant
$$;

-- Stripe's objects, as last known ------------------------------------------------------------------------------------

-- Which carrier a customer of Stripe's is: our own record, made when we create the customer, and the only way an event
-- finds a carrier.
CREATE TABLE stripe_customers (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- Deleted at Stripe; the next checkout creates another.
    deleted_at timestamptz,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX stripe_customers_id ON stripe_customers (id);
CREATE UNIQUE INDEX stripe_customers_live ON stripe_customers (tenant_id) WHERE deleted_at IS NULL;
CALL app.protect('stripe_customers');
CALL app.open_to_gate('stripe_customers');
GRANT SELECT, INSERT ON stripe_customers TO carhaul_api;
GRANT SELECT, UPDATE (deleted_at) ON stripe_customers TO carhaul_billing;
GRANT SELECT ON stripe_customers TO carhaul_gate;

CREATE TABLE subscriptions (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL DEFAULT app.uuid_v7(),
    stripe_id text NOT NULL,
    customer_id text NOT NULL,
    status text NOT NULL CHECK (status IN (
        'incomplete', 'incomplete_expired', 'trialing', 'active', 'past_due', 'unpaid', 'paused', 'canceled')),
    -- NULL while the price is none that we know: nothing is guessed.
    plan text REFERENCES plans (code),
    stripe_price_id text,
    quantity bigint NOT NULL DEFAULT 1,
    started_at timestamptz NOT NULL,
    current_period_start_at timestamptz,
    current_period_end_at timestamptz,
    trial_ends_at timestamptz,
    cancel_at timestamptz,
    cancel_at_period_end boolean NOT NULL DEFAULT false,
    canceled_at timestamptz,
    ended_at timestamptz,
    -- Since when a payment is missing.
    past_due_since_at timestamptz,
    -- What is known of it is as of then: when Stripe made the event, or when we asked. Nothing older changes the row.
    as_of_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT subscriptions_customer_id FOREIGN KEY (tenant_id, customer_id) REFERENCES stripe_customers (tenant_id, id)
);
CREATE UNIQUE INDEX subscriptions_stripe_id ON subscriptions (stripe_id);
CREATE INDEX subscriptions_customer ON subscriptions (tenant_id, customer_id);
CREATE INDEX subscriptions_plan ON subscriptions (plan);
CALL app.protect('subscriptions');
CALL app.open_to_gate('subscriptions');
CREATE TRIGGER touch BEFORE UPDATE ON subscriptions FOR EACH ROW EXECUTE FUNCTION app.touch();
-- Into the audit log alone: what a carrier pays is for owners and admins, and everybody of it reads the event log.
CREATE TRIGGER record_change AFTER INSERT OR UPDATE ON subscriptions
FOR EACH ROW EXECUTE FUNCTION app.record_change('', 'id');
GRANT SELECT ON subscriptions TO carhaul_api, carhaul_gate;
GRANT SELECT, INSERT, UPDATE ON subscriptions TO carhaul_billing;

-- What we bill carriers; what carriers bill their customers is elsewhere.
CREATE TABLE billing_invoices (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL DEFAULT app.uuid_v7(),
    stripe_id text NOT NULL,
    customer_id text NOT NULL,
    stripe_subscription_id text,
    number text,
    status text NOT NULL CHECK (status IN ('draft', 'open', 'paid', 'uncollectible', 'void')),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    subtotal_amount numeric(15, 3) NOT NULL,
    tax_amount numeric(15, 3) NOT NULL,
    total_amount numeric(15, 3) NOT NULL,
    paid_amount numeric(15, 3) NOT NULL,
    remaining_amount numeric(15, 3) NOT NULL,
    issued_at timestamptz NOT NULL,
    period_start_at timestamptz,
    period_end_at timestamptz,
    due_at timestamptz,
    paid_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    -- Stripe's page where it can be paid, and its PDF.
    url text,
    pdf_url text,
    as_of_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT billing_invoices_customer_id FOREIGN KEY (tenant_id, customer_id) REFERENCES stripe_customers (tenant_id, id)
);
CREATE UNIQUE INDEX billing_invoices_stripe_id ON billing_invoices (stripe_id);
CREATE INDEX billing_invoices_customer ON billing_invoices (tenant_id, customer_id);
CALL app.protect('billing_invoices');
CALL app.open_to_gate('billing_invoices');
CREATE TRIGGER touch BEFORE UPDATE ON billing_invoices FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE TRIGGER record_change AFTER INSERT OR UPDATE ON billing_invoices
FOR EACH ROW EXECUTE FUNCTION app.record_change('', 'id');
GRANT SELECT ON billing_invoices TO carhaul_api;
GRANT SELECT, INSERT, UPDATE ON billing_invoices TO carhaul_billing;

-- What owners are told of their billing: one row an event or a repair, with what came of it.
CREATE TABLE billing_events (
    tenant_id uuid NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id uuid NOT NULL DEFAULT app.uuid_v7(),
    -- NULL for a repair: nobody sent an event.
    stripe_event_id text,
    type text NOT NULL,
    -- The subscription or invoice that it is about.
    stripe_object_id text,
    outcome text NOT NULL CHECK (outcome IN ('applied', 'superseded', 'ignored', 'unknown_price', 'repaired')),
    plan text NOT NULL,
    at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX billing_events_stripe_event_id ON billing_events (tenant_id, stripe_event_id);
CALL app.protect('billing_events');
GRANT SELECT ON billing_events TO carhaul_api;
GRANT SELECT, INSERT, UPDATE (outcome, plan) ON billing_events TO carhaul_billing;

-- The inbox of Stripe's events ---------------------------------------------------------------------------------------

CREATE TABLE stripe_events (
    id text PRIMARY KEY,
    type text NOT NULL,
    api_version text,
    livemode boolean NOT NULL,
    -- Stripe's `created`, which has whole seconds.
    created_at timestamptz NOT NULL,
    -- The object that it is about (a subscription's event and its checkout: the subscription), and whose it is.
    object_id text,
    customer_id text,
    payload jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    processed_at timestamptz,
    outcome text CHECK (outcome IN (
        'applied', 'superseded', 'ignored', 'unknown_price', 'unknown_customer', 'wrong_mode')),
    -- Known once it was processed; erased with the carrier.
    tenant_id uuid REFERENCES tenants (id) ON DELETE CASCADE
);
COMMENT ON TABLE stripe_events IS 'SHARED: an event belongs to no carrier until its customer is looked up; only functions of carhaul_gate touch it.';
CREATE INDEX stripe_events_object ON stripe_events (object_id);
CREATE INDEX stripe_events_customer ON stripe_events (customer_id);
CREATE INDEX stripe_events_waiting ON stripe_events (received_at) WHERE processed_at IS NULL;
CREATE INDEX stripe_events_unknown ON stripe_events (received_at) WHERE outcome IN ('unknown_price', 'unknown_customer');
CREATE INDEX stripe_events_processed ON stripe_events (processed_at);
CREATE INDEX stripe_events_tenant ON stripe_events (tenant_id);
ALTER TABLE stripe_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE stripe_events FORCE ROW LEVEL SECURITY;
CALL app.open_to_gate('stripe_events');
GRANT SELECT, INSERT, DELETE, UPDATE (processed_at, outcome, tenant_id) ON stripe_events TO carhaul_gate;

-- Stores an event once. `waiting`: it is to be processed (it is new, or came again before anybody did). One of the wrong
-- mode is recorded as done.
CREATE FUNCTION app.record_stripe_event(
    p_id text, p_type text, p_api_version text, p_livemode boolean, p_created_at timestamptz, p_object_id text,
    p_customer_id text, p_payload jsonb, p_expected_livemode boolean, OUT is_new boolean, OUT waiting boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO stripe_events (id, type, api_version, livemode, created_at, object_id, customer_id, payload, processed_at, outcome)
    VALUES (p_id, p_type, p_api_version, p_livemode, p_created_at, p_object_id, p_customer_id, p_payload,
            CASE WHEN p_livemode <> p_expected_livemode THEN now() END,
            CASE WHEN p_livemode <> p_expected_livemode THEN 'wrong_mode' END)
    ON CONFLICT (id) DO NOTHING;
    is_new := FOUND;
    SELECT e.processed_at IS NULL INTO waiting FROM stripe_events e WHERE e.id = p_id;
END
$$;
CALL app.give_to_gate('app.record_stripe_event(text, text, text, boolean, timestamptz, text, text, jsonb, boolean)');

-- What a worker needs to know before it asks Stripe. `read_at` is the database's clock, so that what workers learn at
-- Stripe has one order. No row: there is no such event.
CREATE FUNCTION app.stripe_event(p_id text) RETURNS TABLE (
    type text, object_id text, customer_id text, created_at timestamptz, payload jsonb, is_processed boolean, read_at timestamptz
) LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.type, e.object_id, e.customer_id, e.created_at, e.payload,
           e.processed_at IS NOT NULL AND e.outcome NOT IN ('unknown_price', 'unknown_customer'), clock_timestamp()
    FROM stripe_events e WHERE e.id = p_id
$$;
CALL app.give_to_gate('app.stripe_event(text)');

-- Enters the carrier of a customer of Stripe's, and locks its billing until the end of the transaction: states are decided
-- by one worker at a time, from all that is stored by then. NULL: no customer of ours.
CREATE FUNCTION app.enter_billing(p_customer_id text) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    tenant uuid;
BEGIN
    SELECT c.tenant_id INTO tenant FROM stripe_customers c WHERE c.id = p_customer_id;
    -- Foreign keys to the carrier do not wait for this kind of lock: its orders go on.
    PERFORM 1 FROM tenants t WHERE t.id = tenant FOR NO KEY UPDATE;
    PERFORM app.set_context(tenant, NULL, NULL, NULL, NULL);
    RETURN tenant;
END
$$;
CALL app.give_to_gate('app.enter_billing(text)');

-- Locks an event for processing, inside of app.enter_billing. False: somebody has done it. What was unknown then may be
-- known now, and is tried again.
CREATE FUNCTION app.claim_stripe_event(p_id text) RETURNS boolean
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.processed_at IS NULL OR e.outcome IN ('unknown_price', 'unknown_customer') FROM stripe_events e WHERE e.id = p_id FOR UPDATE
$$;
CALL app.give_to_gate('app.claim_stripe_event(text)');

-- All stored events of an object of the carrier that was entered, processed or not.
CREATE FUNCTION app.stripe_events_of(p_object_id text) RETURNS TABLE (
    id text, type text, created_at timestamptz, payload jsonb
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.id, e.type, e.created_at, e.payload
    FROM stripe_events e
    WHERE e.object_id = p_object_id AND e.outcome IS DISTINCT FROM 'wrong_mode'
      AND e.customer_id IN (SELECT c.id FROM stripe_customers c WHERE c.tenant_id = app.tenant_id())
    ORDER BY e.created_at, e.id
$$;
CALL app.give_to_gate('app.stripe_events_of(text)');

CREATE FUNCTION app.finish_stripe_event(p_id text, p_outcome text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE stripe_events SET processed_at = now(), outcome = p_outcome, tenant_id = app.tenant_id() WHERE id = p_id
$$;
CALL app.give_to_gate('app.finish_stripe_event(text, text)');

GRANT EXECUTE ON FUNCTION
    app.record_stripe_event(text, text, text, boolean, timestamptz, text, text, jsonb, boolean),
    app.stripe_event(text), app.enter_billing(text), app.claim_stripe_event(text), app.stripe_events_of(text),
    app.finish_stripe_event(text, text)
TO carhaul_billing;

GRANT EXECUTE ON FUNCTION app.uuid_v7() TO carhaul_billing;

-- For housekeeping ---------------------------------------------------------------------------------------------------

-- Events that were stored and never processed (their message was lost, or never sent), and those whose price or customer
-- is known by now.
CREATE FUNCTION app.stuck_stripe_events(p_older_than interval, p_limit integer) RETURNS TABLE (id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    (SELECT e.id FROM stripe_events e
     WHERE e.processed_at IS NULL AND e.received_at < now() - p_older_than
     ORDER BY e.received_at LIMIT p_limit)
    UNION ALL
    (SELECT e.id FROM stripe_events e
     WHERE e.outcome IN ('unknown_price', 'unknown_customer')
       AND CASE e.outcome
           WHEN 'unknown_customer' THEN EXISTS (SELECT FROM stripe_customers c WHERE c.id = e.customer_id)
           ELSE EXISTS (SELECT FROM prices p WHERE position(to_json(p.stripe_price_id)::text IN e.payload::text) > 0)
           END
     ORDER BY e.received_at LIMIT p_limit)
$$;
CALL app.give_to_gate('app.stuck_stripe_events(interval, integer)');

-- Which of these events never arrived.
CREATE FUNCTION app.missing_stripe_events(p_ids text[]) RETURNS TABLE (id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT wanted.id FROM unnest(p_ids) WITH ORDINALITY AS wanted (id, n)
    WHERE NOT EXISTS (SELECT FROM stripe_events e WHERE e.id = wanted.id)
    ORDER BY n
$$;
CALL app.give_to_gate('app.missing_stripe_events(text[])');

-- Subscriptions that are not over, page by page, to be compared with Stripe's view.
CREATE FUNCTION app.live_subscriptions(p_after text, p_limit integer) RETURNS TABLE (
    stripe_id text, customer_id text, status text, stripe_price_id text, quantity bigint,
    current_period_end_at timestamptz, cancel_at timestamptz, cancel_at_period_end boolean
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.stripe_id, s.customer_id, s.status, s.stripe_price_id, s.quantity, s.current_period_end_at, s.cancel_at,
           s.cancel_at_period_end
    FROM subscriptions s
    WHERE s.stripe_id > p_after AND s.status NOT IN ('canceled', 'incomplete_expired')
    ORDER BY s.stripe_id LIMIT p_limit
$$;
CALL app.give_to_gate('app.live_subscriptions(text, integer)');

GRANT EXECUTE ON FUNCTION
    app.stuck_stripe_events(interval, integer), app.missing_stripe_events(text[]), app.live_subscriptions(text, integer),
    app.record_stripe_event(text, text, text, boolean, timestamptz, text, text, jsonb, boolean)
TO carhaul_housekeeping;

SET LOCAL ROLE carhaul_gate;
-- Deletes at most `batch` expired rows of each table, over all carriers, and says how many.
CREATE OR REPLACE FUNCTION app.purge_expired(batch integer) RETURNS TABLE (table_name text, purged bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    table_name := 'idempotency_keys';
    DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
        SELECT k.ctid FROM idempotency_keys k WHERE k.expires_at < now() ORDER BY k.expires_at LIMIT batch));
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN NEXT;
    table_name := 'auth_failures';
    DELETE FROM auth_failures WHERE ctid = ANY (ARRAY(
        SELECT f.ctid FROM auth_failures f
        WHERE f.window_start < now() - interval '1 day' ORDER BY f.window_start LIMIT batch));
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN NEXT;
    table_name := 'invitations';
    DELETE FROM invitations WHERE ctid = ANY (ARRAY(
        SELECT i.ctid FROM invitations i
        WHERE i.accepted_at IS NULL AND i.expires_at < now() - interval '30 days' ORDER BY i.expires_at LIMIT batch));
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN NEXT;
    table_name := 'tenant_events';
    DELETE FROM tenant_events WHERE ctid = ANY (ARRAY(
        SELECT e.ctid FROM tenant_events e WHERE e.at < now() - interval '30 days' ORDER BY e.at LIMIT batch));
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN NEXT;
    table_name := 'stripe_events';
    DELETE FROM stripe_events WHERE ctid = ANY (ARRAY(
        SELECT e.ctid FROM stripe_events e WHERE e.processed_at < now() - interval '90 days' ORDER BY e.processed_at LIMIT batch));
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN NEXT;
END
$$;
RESET ROLE;
